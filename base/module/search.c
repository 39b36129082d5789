/* Where a module's libraries may lie. The order is in module.h. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/module/module_private.h"

/* A search under way. */
typedef struct {
    const char *soname;
    an_module_try *visit;
    void *context;
} search;

void an_module_cut(char *path)
{
    char *slash = strrchr(path, '/');
    *(slash ? slash : path) = '\0';
}

static bool try_folder(const search *s, const char *folder, size_t length)
{
    char file[PATH_MAX];
    int size = snprintf(file, sizeof file, "%.*s/%s", (int)length, folder, s->soname);
    if (size >= (int)sizeof file || access(file, F_OK))
        return false;
    return s->visit(s->context, file);
}

/* Folders separated by colons; empty ones and NULL are passed over. */
static bool try_folders(const search *s, const char *list)
{
    while (list && *list) {
        size_t length = strcspn(list, ":");
        if (length && try_folder(s, list, length))
            return true;
        list += length + (list[length] == ':');
    }
    return false;
}

/* Appends text to a pattern for glob, so that it stands for itself. False if there is no room. */
static bool append_literally(char pattern[PATH_MAX], const char *text)
{
    size_t used = strlen(pattern);
    for (; *text; text++) {
        if (used + 3 > PATH_MAX)
            return false;
        if (strchr("*?[]\\", *text))
            pattern[used++] = '\\';
        pattern[used++] = *text;
    }
    pattern[used] = '\0';
    return true;
}

/* Files that match prefix/tail/soname, where only the tail is a pattern. */
static bool try_pattern(const search *s, const char *prefix, const char *tail)
{
    char pattern[PATH_MAX] = "";
    if (!append_literally(pattern, prefix))
        return false;
    size_t used = strlen(pattern);
    if (snprintf(pattern + used, sizeof pattern - used, "/%s/%s", tail, s->soname) >= (int)(sizeof pattern - used))
        return false;
    glob_t found;
    bool done = false;
    if (glob(pattern, 0, NULL, &found))
        return false;
    for (size_t i = 0; i < found.gl_pathc && !done; i++)
        done = s->visit(s->context, found.gl_pathv[i]);
    globfree(&found);
    return done;
}

/* A Python environment; NULL and "" are passed over. */
static bool try_python(const search *s, const an_module_spec *spec, const char *prefix)
{
    static const char *const packages[] = {"lib/python3*/site-packages", "lib/python3*/dist-packages"};
    if (!prefix || !*prefix)
        return false;
    for (size_t i = 0; i < sizeof packages / sizeof *packages; i++) {
        char tail[256];
        snprintf(tail, sizeof tail, "%s/%s", packages[i], spec->wheel_folders);
        if (try_pattern(s, prefix, tail))
            return true;
    }
    return false;
}

/* The environments of the python3 on PATH: that of the link, which is a virtual environment's, and that of the program
 * that it leads to. */
static bool try_python_on_path(const search *s, const an_module_spec *spec)
{
    const char *list = getenv("PATH");
    while (list && *list) {
        char file[PATH_MAX], program[PATH_MAX];
        size_t length = strcspn(list, ":");
        int size = snprintf(file, sizeof file, "%.*s/python3", (int)length, list);
        list += length + (list[length] == ':');
        if (!length || size >= (int)sizeof file || access(file, X_OK))
            continue;
        bool known = realpath(file, program);
        for (int i = 0; i < 2; i++)
            an_module_cut(file);
        for (int i = 0; i < 2 && known; i++)
            an_module_cut(program);
        if (try_python(s, spec, file))
            return true;
        return known && strcmp(file, program) != 0 && try_python(s, spec, program);
    }
    return false;
}

bool an_module_search_first(const an_module_spec *spec, const char *module, const char *soname, an_module_try *visit,
                            void *context)
{
    search s = {soname, visit, context};
    char folder[PATH_MAX];
    if (try_folders(&s, getenv(spec->folders_variable)))
        return true;
    snprintf(folder, sizeof folder, "%s", module);
    an_module_cut(folder);
    return *folder && try_folder(&s, folder, strlen(folder));
}

bool an_module_search_last(const an_module_spec *spec, const char *soname, an_module_try *visit, void *context)
{
    search s = {soname, visit, context};
    const char *conda = getenv("CONDA_PREFIX"), *home = getenv("HOME");
    char folder[PATH_MAX];
    if (try_folder(&s, spec->vendor_folder, strlen(spec->vendor_folder)))
        return true;
    if (try_python(&s, spec, getenv("VIRTUAL_ENV")) || try_python(&s, spec, conda))
        return true;
    if (conda && *conda && try_pattern(&s, conda, "lib"))
        return true;
    if (try_python_on_path(&s, spec))
        return true;
    if (home && *home && snprintf(folder, sizeof folder, "%s/.local", home) < (int)sizeof folder &&
        try_python(&s, spec, folder))
        return true;
    return try_python(&s, spec, "/usr/local");
}
