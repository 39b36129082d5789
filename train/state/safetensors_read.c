#include "train/state/safetensors_private.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/error.h"
#include "base/file.h"

int an_safetensors_open(an_safetensors **out, const char *path)
{
    an_safetensors *file = calloc(1, sizeof(*file));
    if (!file || !(file->path = strdup(path))) {
        free(file);
        return an_error(AN_ENOMEM, "out of memory for '%s'", path);
    }
    int rc = an_file_open(&file->fd, path);
    if (rc == AN_ECORRUPT)
        rc = an_error(rc, "%s: name a safetensors file, such as the checkpoints in a run's folder", an_error_message());
    if (!rc)
        rc = an_safetensors_header(file);
    if (rc) {
        an_safetensors_free(file);
        return rc;
    }
    *out = file;
    return AN_OK;
}

void an_safetensors_free(an_safetensors *file)
{
    if (!file)
        return;
    if (file->fd >= 0)
        close(file->fd);
    json_decref(file->header);
    free(file->tensors);
    free(file->text);
    free(file->path);
    free(file);
}

bool an_safetensors_guarded(const an_safetensors *file)
{
    return an_safetensors_metadata(file, "xxh3") != NULL;
}

/* Compares bits, because compilers do not vectorise a loop over isfinite. */
bool an_safetensors_finite(const float *values, uint64_t count)
{
    uint32_t infinite = 0;
    for (uint64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &values[i], sizeof(bits));
        infinite |= (bits & 0x7f800000) == 0x7f800000;
    }
    return !infinite;
}

int an_safetensors_not_finite(const char *path, const char *name)
{
    return an_error(
        AN_ECORRUPT,
        "'%s': tensor '%s' holds values that are not finite: they are of no use; take an earlier checkpoint", path,
        name);
}

#define CHUNK ((size_t)256 << 10) /* bytes: what is hashed and looked at is still in the processor's cache */

/* finite: whether all of the tensor's values are, of type F32. */
static int hash_tensor(const an_safetensors *file, const an_safetensor *t, XXH3_state_t *hash, void *chunk,
                       bool *finite)
{
    bool numbers = an_safetensors_is_f32(t);
    *finite = true;
    for (uint64_t at = t->begin; at < t->end; at += CHUNK) {
        size_t size = t->end - at < CHUNK ? (size_t)(t->end - at) : CHUNK;
        int rc = an_file_pread(file->fd, chunk, size, file->data_offset + at, file->path);
        if (rc)
            return rc;
        XXH3_64bits_update(hash, chunk, size);
        if (numbers && !an_safetensors_finite(chunk, size / sizeof(float)))
            *finite = false;
    }
    return AN_OK;
}

/* The tensors lie one behind the other and are all of the data. *first becomes the first one that is not finite. */
static int hash_data(const an_safetensors *file, XXH3_state_t *hash, const an_safetensor **first)
{
    void *chunk = malloc(CHUNK);
    if (!chunk)
        return an_error(AN_ENOMEM, "out of memory reading '%s'", file->path);
    int rc = AN_OK;
    for (size_t i = 0; !rc && i < file->count; i++) {
        bool finite;
        rc = hash_tensor(file, &file->tensors[i], hash, chunk, &finite);
        if (!finite && !*first)
            *first = &file->tensors[i];
    }
    free(chunk);
    return rc;
}

int an_safetensors_verify(an_safetensors *file)
{
    const char *digits = an_safetensors_metadata(file, "xxh3");
    if (!digits)
        return AN_OK;
    char *place = memmem(file->text, file->text_size, "\"xxh3\":\"", 8);
    if (!place || strlen(digits) != 16 || memcmp(place + 8, digits, 16) != 0)
        return an_safetensors_damaged(file, NULL, "checksum is not where it was written: the header was changed");
    XXH3_state_t *hash = XXH3_createState();
    if (!hash)
        return an_error(AN_ENOMEM, "out of memory for a checksum");
    XXH3_64bits_reset(hash);
    XXH3_64bits_update(hash, file->text, (size_t)(place + 8 - file->text));
    XXH3_64bits_update(hash, "0000000000000000", 16);
    XXH3_64bits_update(hash, place + 24, (size_t)(file->text + file->text_size - place - 24));
    const an_safetensor *unusable = NULL;
    int rc = hash_data(file, hash, &unusable);
    char found[17];
    snprintf(found, sizeof(found), "%016" PRIx64, (uint64_t)XXH3_64bits_digest(hash));
    XXH3_freeState(hash);
    if (!rc && strcmp(found, digits) != 0)
        return an_safetensors_damaged(file, NULL, "checksum does not match: the file is damaged");
    return !rc && unusable ? an_safetensors_not_finite(file->path, unusable->name) : rc;
}

size_t an_safetensors_count(const an_safetensors *file)
{
    return file->count;
}

const an_safetensor *an_safetensors_at(const an_safetensors *file, size_t number)
{
    return &file->tensors[number];
}

const an_safetensor *an_safetensors_find(const an_safetensors *file, const char *name)
{
    for (size_t i = 0; i < file->count; i++)
        if (strcmp(file->tensors[i].name, name) == 0)
            return &file->tensors[i];
    return NULL;
}

const char *an_safetensors_metadata(const an_safetensors *file, const char *key)
{
    return json_string_value(json_object_get(json_object_get(file->header, "__metadata__"), key));
}

bool an_safetensors_is_f32(const an_safetensor *tensor)
{
    return strcmp(tensor->dtype, "F32") == 0;
}

static float from_bits(uint32_t bits)
{
    float value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

static float from_bf16(const uint8_t *bytes)
{
    return from_bits((uint32_t)bytes[0] << 16 | (uint32_t)bytes[1] << 24);
}

/* IEEE 754 binary16: 1 bit of sign, 5 of exponent with bias 15, 10 of mantissa. */
static float from_f16(const uint8_t *bytes)
{
    uint32_t half = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
    uint32_t sign = (half & 0x8000) << 16, exponent = half >> 10 & 31, mantissa = half & 0x3ff;
    if (exponent == 0) /* zero, or a denormal number: mantissa * 2^-24 */
        return from_bits(sign | 0x3f800000) * ldexpf((float)mantissa, -24);
    exponent = exponent == 31 ? 255 : exponent + 127 - 15;
    return from_bits(sign | exponent << 23 | mantissa << 13);
}

static float from_f64(const uint8_t *bytes)
{
    double value;
    memcpy(&value, bytes, sizeof(value));
    return fabs(value) > (double)FLT_MAX ? copysignf(HUGE_VALF, (float)(value > 0 ? 1 : -1)) : (float)value;
}

static const struct {
    const char *dtype;
    size_t size;
    float (*value)(const uint8_t *bytes);
} conversions[] = {{"F16", 2, from_f16}, {"BF16", 2, from_bf16}, {"F64", 8, from_f64}};

static int read_converted(an_safetensors *file, const an_safetensor *tensor, size_t row, float *out)
{
    uint8_t bytes[1 << 13];
    for (uint64_t at = tensor->begin; at < tensor->end;) {
        size_t size = tensor->end - at < sizeof(bytes) ? (size_t)(tensor->end - at) : sizeof(bytes);
        int rc = an_file_pread(file->fd, bytes, size, file->data_offset + at, file->path);
        if (rc)
            return rc;
        for (size_t i = 0; i < size; i += conversions[row].size)
            *out++ = conversions[row].value(bytes + i);
        at += size;
    }
    return AN_OK;
}

int an_safetensors_read(an_safetensors *file, const an_safetensor *tensor, float *out)
{
    if (an_safetensors_is_f32(tensor))
        return an_file_pread(file->fd, out, tensor->end - tensor->begin, file->data_offset + tensor->begin, file->path);
    for (size_t row = 0; row < sizeof(conversions) / sizeof(conversions[0]); row++)
        if (strcmp(tensor->dtype, conversions[row].dtype) == 0)
            return read_converted(file, tensor, row, out);
    return an_error(AN_EUNSUPPORTED, "'%s': tensor '%s' is %s: convert it to F32", file->path, tensor->name,
                    tensor->dtype);
}
