#include <oneapi/dnnl/dnnl.h>

#include "model/backend.h"

int an_backend_libraries(an_buffer *out)
{
    const dnnl_version_t *version = dnnl_version();
    return an_buffer_printf(out, "oneDNN %d.%d.%d\n", version->major, version->minor, version->patch);
}
