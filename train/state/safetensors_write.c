#include "train/state/safetensors.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"

#define DIGITS 16
static const char guard_zeros[] = "0000000000000000";

int an_safetensor_size(const an_safetensor *tensor, uint64_t *out)
{
    size_t size = 1;
    for (int i = 0; i < tensor->rank; i++)
        if (an_size_multiply(size, tensor->shape[i], &size) < 0)
            return an_error(AN_EINVAL, "tensor '%s': shape overflows", tensor->name);
    *out = size;
    return AN_OK;
}

static json_t *describe(const an_safetensor *tensor)
{
    json_t *shape = json_array();
    for (int i = 0; i < tensor->rank; i++)
        json_array_append_new(shape, json_integer((json_int_t)tensor->shape[i]));
    return json_pack("{s:s, s:o, s:[I, I]}", "dtype", "F32", "shape", shape, "data_offsets", (json_int_t)tensor->begin,
                     (json_int_t)tensor->end);
}

static int build_header(json_t *header, an_safetensor *tensors, size_t count, const an_safetensors_pair *metadata,
                        size_t pairs)
{
    json_t *strings = json_object();
    int failed = json_object_set_new(header, "__metadata__", strings);
    for (size_t i = 0; i < pairs; i++)
        failed |= json_object_set_new(strings, metadata[i].key, json_string(metadata[i].value));
    failed |= json_object_set_new(strings, "xxh3", json_string(guard_zeros));
    uint64_t offset = 0;
    for (size_t i = 0; i < count; i++) {
        uint64_t size = 0;
        int rc = an_safetensor_size(&tensors[i], &size);
        if (rc)
            return rc;
        tensors[i].begin = offset;
        tensors[i].end = offset += size * sizeof(float);
        failed |= json_object_set_new(header, tensors[i].name, describe(&tensors[i]));
    }
    return failed ? an_error(AN_EINVAL, "safetensors header: a name or value is not UTF-8, or out of memory") : AN_OK;
}

/* The header as text, padded with spaces so that the data begins at a multiple of 8. */
static int print_header(json_t *header, an_buffer *out)
{
    char *text = json_dumps(header, JSON_COMPACT);
    if (!text)
        return an_error(AN_ENOMEM, "out of memory for a safetensors header");
    int rc = an_buffer_append(out, text, strlen(text));
    while (!rc && out->size % 8)
        rc = an_buffer_append(out, " ", 1);
    free(text);
    return rc;
}

static uint64_t largest(const an_safetensor *tensors, size_t count)
{
    uint64_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        if (tensors[i].end - tensors[i].begin > bytes)
            bytes = tensors[i].end - tensors[i].begin;
    return bytes;
}

typedef struct {
    an_safetensor *tensors;
    size_t count;
    an_safetensors_fetch fetch;
    void *context;
    float *room; /* for the largest tensor */
} source;

/* Pass every tensor's bytes, in order, to the hash or to the file. */
static int walk(const source *s, XXH3_state_t *hash, an_file_writer *writer)
{
    int rc = AN_OK;
    for (size_t i = 0; !rc && i < s->count; i++) {
        size_t bytes = s->tensors[i].end - s->tensors[i].begin;
        const float *values = NULL;
        rc = s->fetch(s->context, i, s->room, &values);
        if (!rc && hash)
            XXH3_64bits_update(hash, values, bytes);
        if (!rc && writer)
            rc = an_file_writer_write(writer, values, bytes);
    }
    return rc;
}

static int checksum(const source *s, an_buffer *header)
{
    XXH3_state_t *hash = XXH3_createState();
    if (!hash)
        return an_error(AN_ENOMEM, "out of memory for a checksum");
    XXH3_64bits_reset(hash);
    XXH3_64bits_update(hash, header->data, header->size);
    int rc = walk(s, hash, NULL);
    if (!rc) {
        char digits[DIGITS + 1];
        snprintf(digits, sizeof(digits), "%016" PRIx64, (uint64_t)XXH3_64bits_digest(hash));
        /* The text before is metadata, where a quote within a value is written \", so this finds the key itself. */
        char *place = memmem(header->data, header->size, "\"xxh3\":\"", 8);
        if (place)
            memcpy(place + 8, digits, DIGITS);
        else
            rc = an_error(AN_EINTERNAL, "safetensors header lost its checksum");
    }
    XXH3_freeState(hash);
    return rc;
}

static int write_file(const char *path, const source *s, const an_buffer *header)
{
    an_file_writer *writer = NULL;
    int rc = an_file_writer_open(&writer, path);
    if (rc)
        return rc;
    uint64_t length = header->size;
    rc = an_file_writer_write(writer, &length, sizeof(length));
    if (!rc)
        rc = an_file_writer_write(writer, header->data, header->size);
    if (!rc)
        rc = walk(s, NULL, writer);
    if (!rc)
        return an_file_writer_commit(writer);
    an_file_writer_abort(writer);
    return rc;
}

int an_safetensors_write(const char *path, an_safetensor *tensors, size_t count, const an_safetensors_pair *metadata,
                         size_t pairs, an_safetensors_fetch fetch, void *context)
{
    an_buffer text = {0};
    source s = {tensors, count, fetch, context, NULL};
    void *room = NULL;
    uint64_t bytes = 0;
    json_t *header = json_object();
    int rc = header ? build_header(header, tensors, count, metadata, pairs) : an_error(AN_ENOMEM, "out of memory");
    if (!rc)
        rc = print_header(header, &text);
    if (!rc) {
        bytes = largest(tensors, count);
        rc = an_pages_alloc(&room, bytes ? bytes : 1);
    }
    s.room = room;
    if (!rc)
        rc = checksum(&s, &text);
    if (!rc)
        rc = write_file(path, &s, &text);
    an_pages_free(room, bytes ? bytes : 1);
    an_buffer_free(&text);
    json_decref(header);
    return rc;
}
