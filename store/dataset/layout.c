#include "store/dataset/layout_private.h"

#include <lmdb.h>
#include <stdbool.h>
#include <string.h>
#include <xxhash.h>

#include "base/bytes.h"
#include "base/error.h"
#include "store/dataset/dataset.h"
#include "store/record.h"

int an_dataset_layout_reject(const uint8_t *value, size_t size, an_buffer *scratch,
                             an_dataset_layout_reject_visit visit, void *context)
{
    if (size < 8 || !memchr(value + 8, '\0', size - 8))
        return an_error(AN_ECORRUPT, "an entry of the rejected inputs is damaged");
    scratch->size = 0;
    int rc = an_buffer_append(scratch, value + 8, size - 8);
    if (!rc)
        rc = an_buffer_append(scratch, "", 1);
    const char *name = (const char *)scratch->data;
    return rc ? rc : visit(context, name, name + strlen(name) + 1, an_bytes_u64(value));
}

uint64_t an_dataset_layout_header_sum(const uint8_t *header, uint64_t index)
{
    return XXH3_64bits_withSeed(header, AN_RECORD_HEADER_SIZE, index);
}

uint64_t an_dataset_layout_name_sum(const uint8_t *value, size_t size, uint64_t index)
{
    return XXH3_64bits_withSeed(value, size, index);
}

uint64_t an_dataset_layout_written(uint64_t name_sum, const uint8_t *sums, size_t size)
{
    return XXH3_64bits_withSeed(sums, size, name_sum);
}

/* The handle is xxHash's own state under another name, so that xxhash.h is not needed to use it. */
static XXH3_state_t *state_of(const an_dataset_layout_checksum *checksum)
{
    return (XXH3_state_t *)(uintptr_t)checksum;
}

int an_dataset_layout_checksum_create(an_dataset_layout_checksum **out)
{
    XXH3_state_t *state = XXH3_createState();
    *out = (an_dataset_layout_checksum *)state;
    if (!state || XXH3_64bits_reset(state) != XXH_OK)
        return an_error(AN_ENOMEM, "out of memory: checksum of a dataset");
    return AN_OK;
}

void an_dataset_layout_checksum_free(an_dataset_layout_checksum *checksum)
{
    (void)XXH3_freeState(state_of(checksum)); /* always XXH_OK */
}

static bool is_checksum(const an_lmdb_item *item)
{
    return strcmp(item->database, AN_DATASET_LAYOUT_META) == 0 &&
           item->key_size == strlen(AN_DATASET_LAYOUT_CHECKSUM) &&
           memcmp(item->key, AN_DATASET_LAYOUT_CHECKSUM, item->key_size) == 0;
}

void an_dataset_layout_checksum_add(an_dataset_layout_checksum *checksum, const an_lmdb_file *file,
                                    const an_lmdb_item *item)
{
    if (is_checksum(item))
        return;
    uint8_t sizes[8];
    an_bytes_put_u32(sizes, item->key_size);
    an_bytes_put_u32(sizes + 4, item->length);
    /* Updates fail only for NULL arguments. */
    (void)XXH3_64bits_update(state_of(checksum), sizes, sizeof sizes);
    (void)XXH3_64bits_update(state_of(checksum), item->key, item->key_size);
    if (strcmp(item->database, AN_DATASET_LAYOUT_RECORDS) != 0)
        (void)XXH3_64bits_update(state_of(checksum), file->data + item->offset, item->length);
}

uint64_t an_dataset_layout_checksum_value(const an_dataset_layout_checksum *checksum)
{
    return XXH3_64bits_digest(state_of(checksum));
}

int an_dataset_libraries(an_buffer *out)
{
    int major, minor, patch;
    mdb_version(&major, &minor, &patch);
    int rc = an_buffer_printf(out, "LMDB %d.%d.%d\n", major, minor, patch);
    return rc ? rc : an_codec_libraries(out);
}
