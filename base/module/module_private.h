/* The places where a module's libraries may lie. */
#ifndef AN_BASE_MODULE_MODULE_PRIVATE_H
#define AN_BASE_MODULE_MODULE_PRIVATE_H

#include <stdbool.h>

#include "base/module/module.h"

/* Is asked with one file after another until it returns true. */
typedef bool an_module_try(void *context, const char *file);

/* Calls visit with each existing file of this name in the folders that are searched before, or after, the dynamic
 * linker's usual places. Returns whether one visit returned true. */
bool an_module_search_first(const an_module_spec *spec, const char *module, const char *soname, an_module_try *visit,
                            void *context);
bool an_module_search_last(const an_module_spec *spec, const char *soname, an_module_try *visit, void *context);

/* Cuts the last part off a path, in place; "" if there is none. */
void an_module_cut(char *path);

#endif
