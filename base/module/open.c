/* Opening a module's libraries, and the module. */
#include <dlfcn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/module/module_private.h"

/* What opening one library has come to. */
typedef struct {
    void *handle;
    char trouble[256]; /* why the first file that was found could not be loaded; "": none was found */
} opening;

/* Local: nothing but the module is to see the library, above all no other copy of it that the process may have. */
static bool open_file(void *context, const char *file)
{
    opening *o = context;
    o->handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    const char *why = o->handle ? "" : dlerror();
    if (!*o->trouble)
        snprintf(o->trouble, sizeof o->trouble, "%s", why);
    return o->handle;
}

/* In the dynamic linker's usual places, or loaded already. */
static bool open_usual(opening *o, const char *soname)
{
    o->handle = dlopen(soname, RTLD_NOW | RTLD_LOCAL);
    if (o->handle)
        return true;
    /* "NAME: cannot open shared object file: ..." says that there is no such library. Another name before the colon is
     * that of a library which this one needs. */
    const char *why = dlerror();
    size_t length = strlen(soname);
    bool absent = !strncmp(why, soname, length) && strstr(why + length, "cannot open shared object file");
    if (!absent && !*o->trouble)
        snprintf(o->trouble, sizeof o->trouble, "%s", why);
    return false;
}

/* What lies in the first places was put there on purpose: if it cannot be loaded, no other is taken instead. */
static bool open_library(opening *o, const an_module_spec *spec, const char *file, const char *soname)
{
    if (an_module_search_first(spec, file, soname, open_file, o))
        return true;
    if (*o->trouble)
        return false;
    return open_usual(o, soname) || an_module_search_last(spec, soname, open_file, o);
}

/* Appends to a list in a text; what has no room is cut. */
static void list(char *text, size_t size, const char *separator, const char *item)
{
    size_t used = strlen(text);
    snprintf(text + used, size - used, "%s%s", used ? separator : "", item);
}

int an_module_open_libraries(const an_module_spec *spec, const char *file)
{
    char missing[256] = "", packages[256] = "", wheels[256] = "", trouble[300] = "";
    for (int i = 0; i < spec->count; i++) {
        const an_module_library *library = &spec->libraries[i];
        opening o = {0};
        if (open_library(&o, spec, file, library->soname))
            continue;
        list(missing, sizeof missing, ", ", library->soname);
        list(packages, sizeof packages, " ", library->package);
        list(wheels, sizeof wheels, " ", library->wheel);
        if (*o.trouble && !*trouble)
            snprintf(trouble, sizeof trouble, " (%s)", o.trouble);
    }
    if (!*missing)
        return AN_OK;
    return an_error(AN_EUNSUPPORTED,
                    "the %s module lacks %s%s; apt-get install %s from %s's repository, or pip install %s, or "
                    "list their folders in %s",
                    spec->name, missing, trouble, packages, spec->vendor, wheels, spec->folders_variable);
}

int an_module_open(void **symbol, const an_module_spec *spec, const char *file, const char *name)
{
    void *handle = dlopen(file, RTLD_NOW | RTLD_LOCAL);
    if (handle)
        *symbol = dlsym(handle, name);
    if (!handle || !*symbol)
        return an_error(AN_EUNSUPPORTED, "the %s module cannot be loaded: %s", spec->name, dlerror());
    return AN_OK;
}
