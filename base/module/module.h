/* Modules: parts of the programs that need another vendor's libraries, and so are shared objects that are loaded only
 * when they are asked for. Without the libraries the programs still start and do everything else.
 *
 * A module is one file with one exported symbol. It is linked with its libraries by soname alone, without a path. They
 * are opened before the module, each from the first place that has it:
 *   1. the folders that the specification's variable lists, separated by colons
 *   2. the module's own folder
 *   3. the dynamic linker's usual places
 *   4. the vendor's folder
 *   5. the folders of Python environments in which PyPI's packages put libraries: $VIRTUAL_ENV, $CONDA_PREFIX, that of
 *      the python3 on PATH, ~/.local and /usr/local. Python itself is not run.
 * A library in the first two that cannot be loaded is an error; elsewhere the search goes on. The dynamic linker then
 * takes for the module's needs what is loaded already.
 *
 * Any thread may call these functions. What is loaded stays loaded. */
#ifndef AN_BASE_MODULE_MODULE_H
#define AN_BASE_MODULE_MODULE_H

#include <limits.h>

typedef struct {
    const char *soname;  /* "libcudnn.so.9" */
    const char *package; /* the vendor's package for Debian and Ubuntu that brings it */
    const char *wheel;   /* the package on PyPI that brings it */
} an_module_library;

typedef struct {
    const char *name;             /* "CUDA", for messages */
    const char *vendor;           /* "NVIDIA", for messages */
    const char *file;             /* "an_cuda.so" */
    const char *file_variable;    /* environment variable that names the module's file, instead of a search */
    const char *folders_variable; /* environment variable that lists folders with libraries */
    const char *vendor_folder;    /* "/usr/local/cuda/lib64" */
    const char *wheel_folders; /* pattern of the folders in which PyPI's packages put libraries, below site-packages */
    const an_module_library *libraries;
    int count;
} an_module_spec;

/* The module's file: what its variable names, else the first that exists in the module folders, which are found from
 * the folder of the program or library that contains this function. AN_EUNSUPPORTED says where it should be. */
int an_module_find(char out[PATH_MAX], const an_module_spec *spec);

/* Opens the libraries of a module that is in this file. AN_EUNSUPPORTED names all that are missing, with the packages
 * that bring them, and says why one that was found cannot be loaded. */
int an_module_open_libraries(const an_module_spec *spec, const char *file);

/* Opens the module itself and looks up a symbol in it. AN_EUNSUPPORTED says what the dynamic linker said. */
int an_module_open(void **symbol, const an_module_spec *spec, const char *file, const char *name);

#endif
