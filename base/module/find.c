/* The module's file, from the place of the program. */
#include <dlfcn.h>
#include <errno.h>
#include <link.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/module/module_private.h"

/* From the folder of a program to that of modules: as installed, in the build's own folder or an unpacked archive, and
 * for a library that contains this code: beneath it, or beside it. */
static const char *const folders[] = {AN_MODULE_FOLDER, "../lib/an", "an", "."};

#define FOLDERS (sizeof folders / sizeof *folders)

/* The folder of the program, or of the shared library that this code has been linked into. */
static int own_folder(char out[PATH_MAX])
{
    Dl_info info;
    struct link_map *map = NULL;
    const char *name = "/proc/self/exe"; /* the program's name in the map is empty */
    if (dladdr1((const void *)folders, &info, (void **)&map, RTLD_DL_LINKMAP) && map && *map->l_name)
        name = map->l_name;
    if (!realpath(name, out))
        return an_error_errno(errno, "cannot find '%s'", name);
    an_module_cut(out);
    return AN_OK;
}

/* Whether there is such a file; then out is its path, without ".." if possible. */
static bool is_there(char out[PATH_MAX], const char *file)
{
    if (access(file, R_OK))
        return false;
    if (!realpath(file, out))
        strcpy(out, file);
    return true;
}

static int not_installed(const an_module_spec *spec, const char *own)
{
    return an_error(AN_EUNSUPPORTED,
                    "the %s module is not installed: there is no '%s/%s/%s'; install it, or name its file in %s",
                    spec->name, own, folders[0], spec->file, spec->file_variable);
}

int an_module_find(char out[PATH_MAX], const an_module_spec *spec)
{
    char own[PATH_MAX], file[PATH_MAX];
    const char *named = getenv(spec->file_variable);
    if (named && *named) {
        if (strlen(named) < PATH_MAX && is_there(out, named))
            return AN_OK;
        return an_error(AN_EUNSUPPORTED, "the %s module cannot be read: %s names '%s'", spec->name, spec->file_variable,
                        named);
    }
    int rc = own_folder(own);
    if (rc)
        return rc;
    for (size_t i = 0; i < FOLDERS; i++) {
        int size = snprintf(file, sizeof file, "%s/%s/%s", own, folders[i], spec->file);
        if (size < (int)sizeof file && is_there(out, file))
            return AN_OK;
    }
    return not_installed(spec, own);
}
