#include "model/backend.h"

#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "base/error.h"
#include "model/backend_module.h"

/* NULL where the CUDA backend is not linked in. Programs load its module; only tests link it. */
#pragma weak an_backend_cuda

/* A backend is linked in or comes as a module. */
static struct {
    const char *name;
    const an_backend_api *api; /* NULL until the module is loaded */
    const an_module_spec *module;
} backends[] = {
    {"cpu", &an_backend_cpu, NULL},
    {"cuda", &an_backend_cuda, &an_backend_cuda_module},
};

#define BACKENDS (int)(sizeof backends / sizeof *backends)

/* "'cpu', 'cuda'", for messages. */
static const char *names(char *text, size_t size)
{
    size_t used = 0;
    for (int i = 0; i < BACKENDS && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s'%s'", i ? ", " : "", backends[i].name);
    return text;
}

int an_backend_count(void)
{
    return BACKENDS;
}

int an_backend_at(int number, const an_backend_api **out)
{
    if (backends[number].module)
        return an_backend_module_load(out, &backends[number].api, backends[number].module);
    *out = backends[number].api;
    return AN_OK;
}

int an_backend_find(const char *device, const an_backend_api **out)
{
    char text[64];
    size_t length = strcspn(device, ":");
    for (int i = 0; i < BACKENDS; i++)
        if (strlen(backends[i].name) == length && !memcmp(backends[i].name, device, length))
            return an_backend_at(i, out);
    return an_error(AN_EINVAL, "no device '%s': there are %s", device, names(text, sizeof text));
}

static int add_devices(an_buffer *out, int number)
{
    const an_backend_api *api;
    int rc = an_backend_at(number, &api);
    if (rc)
        return an_buffer_printf(out, "%-8s none: %s\n", backends[number].name, an_error_message());
    return api->devices ? api->devices(out) : AN_OK;
}

int an_backend_devices(an_buffer *out)
{
    int rc = an_buffer_printf(out, "%-8s %s\n", "cpu", an_cpu_describe());
    for (int i = 0; i < BACKENDS && !rc; i++)
        rc = add_devices(out, i);
    return rc;
}
