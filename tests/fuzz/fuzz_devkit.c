/* ImageNet's meta.mat, with a ground truth that asks for classes it has and has not. */
#include "base/error.h"
#include "ingest/sources/labels/synsets_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    an_synsets list;
    const an_buffer meta = {.data = (uint8_t *)(uintptr_t)data, .size = size, .capacity = size};
    int rc = an_synsets_read(&list, &meta);
    if (rc && rc != AN_ECORRUPT && rc != AN_EUNSUPPORTED && rc != AN_ENOMEM)
        __builtin_trap();
    for (size_t i = 0; i < list.count; i++)
        if (list.entries[i].id < 1 || an_synsets_find(&list, list.entries[i].id) != &list.entries[i] ||
            !list.entries[i].wnid[0] || !list.entries[i].words)
            __builtin_trap();
    an_synsets_free(&list);
    return 0;
}
