#include "model/backend.h"

#include <stdio.h>
#include <string.h>

#include "base/cpu.h"
#include "base/error.h"

static const an_backend_api *const backends[] = {
    &an_backend_cpu,
#ifdef AN_HAVE_CUDA
    &an_backend_cuda,
#endif
};
#ifdef AN_HAVE_CUDA
static const char lacking[] = "";
#else
static const char lacking[] = ", and was made without CUDA";
#endif

/* "'cpu', 'cuda'", for messages. */
static const char *names(char *text, size_t size)
{
    size_t used = 0;
    for (size_t i = 0; i < sizeof backends / sizeof *backends && used < size; i++)
        used += (size_t)snprintf(text + used, size - used, "%s'%s'", i ? ", " : "", backends[i]->name);
    return text;
}

int an_backend_count(void)
{
    return (int)(sizeof backends / sizeof *backends);
}

const an_backend_api *an_backend_at(int number)
{
    return backends[number];
}

int an_backend_find(const char *device, const an_backend_api **out)
{
    char text[64];
    size_t length = strcspn(device, ":");
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++)
        if (strlen(backends[i]->name) == length && !memcmp(backends[i]->name, device, length)) {
            *out = backends[i];
            return AN_OK;
        }
    return an_error(AN_EINVAL, "no device '%s': this build has %s%s", device, names(text, sizeof text), lacking);
}

int an_backend_devices(an_buffer *out)
{
    int rc = an_buffer_printf(out, "%-8s %s\n", "cpu", an_cpu_describe());
    for (size_t i = 0; i < sizeof backends / sizeof *backends && !rc; i++)
        if (backends[i]->devices)
            rc = backends[i]->devices(out);
    return rc;
}
