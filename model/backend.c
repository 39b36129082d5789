#include "model/backend.h"

#include <string.h>

#include "base/error.h"

int an_backend_find(const char *device, const an_backend_api **out)
{
    if (strcmp(device, an_backend_cpu.name) != 0)
        return an_error(AN_EINVAL, "no device '%s': this build has 'cpu'", device);
    *out = &an_backend_cpu;
    return AN_OK;
}
