/* Headers of IDX files. */
#include "base/error.h"
#include "ingest/sources/idx_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    an_idx_header header;
    if (!an_idx_parse(data, size, &header)) {
        uint64_t product = 1;
        for (uint32_t d = 0; d < header.dimensions; d++)
            product *= header.size[d];
        if (header.header_size > size || product != header.data_size)
            __builtin_trap();
    }
    return 0;
}
