#include "model/backend.h"

#include <string.h>

#include "base/error.h"

static const an_backend_api *const backends[] = {
    &an_backend_cpu,
#ifdef AN_HAVE_CUDA
    &an_backend_cuda,
#endif
};

int an_backend_find(const char *device, const an_backend_api **out)
{
    size_t length = strcspn(device, ":");
    for (size_t i = 0; i < sizeof backends / sizeof *backends; i++)
        if (strlen(backends[i]->name) == length && !memcmp(backends[i]->name, device, length)) {
            *out = backends[i];
            return AN_OK;
        }
    return an_error(AN_EINVAL, "no device '%s': this build has 'cpu'", device);
}
