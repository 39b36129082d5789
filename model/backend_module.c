#include "model/backend_module.h"

#include <pthread.h>

#include "base/error.h"

static const an_backend_host host = {
    .error = an_error,
    .error_prefix = an_error_prefix,
    .error_message = an_error_message,
    .buffer_printf = an_buffer_printf,
    .rng_make = an_rng_make,
    .kind_find = an_kind_find,
    .op_name = an_op_name,
    .choices_find = an_choices_find,
    .choices_replace = an_choices_replace,
};

/* Nothing of a module of another version is looked at but the version. */
static int check(const an_backend_module *module, const an_module_spec *spec, const char *file)
{
    if (module->version == AN_BACKEND_MODULE_VERSION && module->shared == sizeof(an_backend_shared))
        return AN_OK;
    return an_error(AN_EUNSUPPORTED,
                    "the %s module '%s' belongs to another version of this program (its interface is %u, this "
                    "program's is %u): install both of one version",
                    spec->name, file, module->version, AN_BACKEND_MODULE_VERSION);
}

static int load(const an_backend_api **out, const an_module_spec *spec)
{
    char file[PATH_MAX];
    void *symbol;
    int rc = an_module_find(file, spec);
    if (rc)
        return rc;
    rc = an_module_open_libraries(spec, file);
    if (rc)
        return rc;
    rc = an_module_open(&symbol, spec, file, AN_BACKEND_MODULE_SYMBOL);
    if (rc)
        return rc;
    const an_backend_module *module = symbol;
    rc = check(module, spec, file);
    if (rc)
        return rc;
    *out = module->begin(&host);
    return AN_OK;
}

int an_backend_module_load(const an_backend_api **out, const an_backend_api **loaded, const an_module_spec *spec)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&lock);
    int rc = *loaded ? AN_OK : load(loaded, spec);
    if (!rc)
        *out = *loaded;
    pthread_mutex_unlock(&lock);
    return rc;
}
