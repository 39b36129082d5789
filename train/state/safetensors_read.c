#include "train/state/safetensors.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"

struct an_safetensors {
    char *path;
    int fd;
    uint64_t data_offset, data_size;
    char *text; /* the header as it lies in the file, for the checksum */
    size_t text_size;
    json_t *header;
    an_safetensor *tensors;
    size_t count;
};

static const struct {
    const char *name;
    uint64_t size;
} dtypes[] = {{"F64", 8}, {"F32", 4}, {"F16", 2}, {"BF16", 2}, {"I64", 8},  {"I32", 4},     {"I16", 2},    {"I8", 1},
              {"U64", 8}, {"U32", 4}, {"U16", 2}, {"U8", 1},   {"BOOL", 1}, {"F8_E4M3", 1}, {"F8_E5M2", 1}};

static uint64_t dtype_size(const char *name)
{
    for (size_t i = 0; name && i < sizeof(dtypes) / sizeof(dtypes[0]); i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return dtypes[i].size;
    return 0;
}

static int damaged(const an_safetensors *file, const char *name, const char *what)
{
    if (name)
        return an_error(AN_ECORRUPT, "'%s': tensor '%s': %s", file->path, name, what);
    return an_error(AN_ECORRUPT, "'%s': %s", file->path, what);
}

static int parse_unsigned(const json_t *value, uint64_t *out)
{
    if (!json_is_integer(value) || json_integer_value(value) < 0)
        return AN_ECORRUPT;
    *out = (uint64_t)json_integer_value(value);
    return AN_OK;
}

static int parse_shape(an_safetensors *file, an_safetensor *tensor, const json_t *shape)
{
    if (!json_is_array(shape) || json_array_size(shape) > AN_SAFETENSORS_RANK_MAX)
        return damaged(file, tensor->name, "shape is not a list of at most 8 sizes");
    tensor->rank = (int)json_array_size(shape);
    for (int i = 0; i < tensor->rank; i++)
        if (parse_unsigned(json_array_get(shape, (size_t)i), &tensor->shape[i]) < 0)
            return damaged(file, tensor->name, "shape holds something that is no size");
    return AN_OK;
}

static int parse_tensor(an_safetensors *file, an_safetensor *tensor, const char *name, const json_t *entry)
{
    tensor->name = name;
    tensor->dtype = json_string_value(json_object_get(entry, "dtype"));
    uint64_t element = dtype_size(tensor->dtype);
    if (element == 0)
        return damaged(file, name, "unknown or missing dtype");
    int rc = parse_shape(file, tensor, json_object_get(entry, "shape"));
    if (rc < 0)
        return rc;
    const json_t *offsets = json_object_get(entry, "data_offsets");
    if (json_array_size(offsets) != 2 || parse_unsigned(json_array_get(offsets, 0), &tensor->begin) < 0 ||
        parse_unsigned(json_array_get(offsets, 1), &tensor->end) < 0)
        return damaged(file, name, "data_offsets are not two offsets");
    if (tensor->begin > tensor->end || tensor->end > file->data_size)
        return damaged(file, name, "data lies outside the file (truncated?)");
    uint64_t size = 0;
    size_t bytes = 0;
    if (an_safetensor_size(tensor, &size) < 0 || an_size_multiply(size, element, &bytes) < 0 ||
        bytes != tensor->end - tensor->begin)
        return damaged(file, name, "shape and data_offsets disagree");
    return AN_OK;
}

static int by_begin(const void *a, const void *b)
{
    const an_safetensor *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* Together the tensors cover the data exactly once: nothing overlaps, nothing hides between them. */
static int check_cover(const an_safetensors *file)
{
    uint64_t at = 0;
    for (size_t i = 0; i < file->count; i++) {
        if (file->tensors[i].begin != at)
            return damaged(file, file->tensors[i].name, "data overlaps its neighbour or leaves a hole");
        at = file->tensors[i].end;
    }
    return at == file->data_size ? AN_OK : damaged(file, NULL, "bytes after the last tensor");
}

static int check_metadata(const an_safetensors *file)
{
    json_t *metadata = json_object_get(file->header, "__metadata__");
    if (metadata && !json_is_object(metadata))
        return damaged(file, NULL, "__metadata__ is no object");
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value) if (!json_is_string(value)) return damaged(
        file, NULL, "__metadata__ holds something that is no string");
    return AN_OK;
}

static int parse_header(an_safetensors *file)
{
    json_error_t fault;
    file->header = json_loadb(file->text, file->text_size, JSON_REJECT_DUPLICATES, &fault);
    if (!json_is_object(file->header))
        return an_error(AN_ECORRUPT, "'%s': header is no JSON object: %s", file->path, fault.text);
    int rc = check_metadata(file);
    if (rc < 0)
        return rc;
    file->tensors = calloc(json_object_size(file->header) + 1, sizeof(*file->tensors));
    if (!file->tensors)
        return an_error(AN_ENOMEM, "out of memory for the header of '%s'", file->path);
    const char *name;
    json_t *entry;
    json_object_foreach(file->header, name, entry)
    {
        if (strcmp(name, "__metadata__") == 0)
            continue;
        rc = parse_tensor(file, &file->tensors[file->count++], name, entry);
        if (rc < 0)
            return rc;
    }
    qsort(file->tensors, file->count, sizeof(*file->tensors), by_begin);
    return check_cover(file);
}

static int read_header(an_safetensors *file)
{
    struct stat st;
    if (fstat(file->fd, &st) < 0)
        return an_error_errno(errno, "cannot examine '%s'", file->path);
    if (S_ISDIR(st.st_mode))
        return an_error(AN_ECORRUPT,
                        "'%s' is a folder: name a safetensors file, such as the checkpoints in a run's folder",
                        file->path);
    uint64_t size = (uint64_t)st.st_size, length = 0;
    if (!S_ISREG(st.st_mode) || size < sizeof(length) + 2)
        return damaged(file, NULL, "too short to be a safetensors file");
    int rc = an_file_pread(file->fd, &length, sizeof(length), 0, file->path);
    if (rc < 0)
        return rc;
    if (length < 2 || length > AN_SAFETENSORS_HEADER_MAX || length > size - sizeof(length))
        return damaged(file, NULL, "header length is impossible: not a safetensors file, or truncated");
    file->text = malloc(length);
    if (!file->text)
        return an_error(AN_ENOMEM, "out of memory for the header of '%s'", file->path);
    file->text_size = length;
    file->data_offset = sizeof(length) + length;
    file->data_size = size - file->data_offset;
    return an_file_pread(file->fd, file->text, length, sizeof(length), file->path);
}

int an_safetensors_open(an_safetensors **out, const char *path)
{
    an_safetensors *file = calloc(1, sizeof(*file));
    if (!file || !(file->path = strdup(path))) {
        free(file);
        return an_error(AN_ENOMEM, "out of memory for '%s'", path);
    }
    file->fd = open(path, O_RDONLY | O_CLOEXEC);
    int rc = file->fd < 0 ? an_error_errno(errno, "cannot open '%s'", path) : read_header(file);
    if (!rc)
        rc = parse_header(file);
    if (rc < 0) {
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

static int hash_data(const an_safetensors *file, XXH3_state_t *hash)
{
    enum { CHUNK = 1 << 20 };
    uint8_t *chunk = malloc(CHUNK);
    if (!chunk)
        return an_error(AN_ENOMEM, "out of memory reading '%s'", file->path);
    int rc = AN_OK;
    for (uint64_t at = 0; !rc && at < file->data_size; at += CHUNK) {
        size_t size = file->data_size - at < CHUNK ? (size_t)(file->data_size - at) : CHUNK;
        rc = an_file_pread(file->fd, chunk, size, file->data_offset + at, file->path);
        if (!rc)
            XXH3_64bits_update(hash, chunk, size);
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
        return damaged(file, NULL, "checksum is not where it was written: the header was changed");
    XXH3_state_t *hash = XXH3_createState();
    if (!hash)
        return an_error(AN_ENOMEM, "out of memory for a checksum");
    XXH3_64bits_reset(hash);
    XXH3_64bits_update(hash, file->text, (size_t)(place + 8 - file->text));
    XXH3_64bits_update(hash, "0000000000000000", 16);
    XXH3_64bits_update(hash, place + 24, (size_t)(file->text + file->text_size - place - 24));
    int rc = hash_data(file, hash);
    char found[17];
    snprintf(found, sizeof(found), "%016" PRIx64, (uint64_t)XXH3_64bits_digest(hash));
    XXH3_freeState(hash);
    if (!rc && strcmp(found, digits) != 0)
        return damaged(file, NULL, "checksum does not match: the file is damaged");
    return rc;
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

int an_safetensors_read(an_safetensors *file, const an_safetensor *tensor, float *out)
{
    if (strcmp(tensor->dtype, "F32") != 0)
        return an_error(AN_EUNSUPPORTED, "'%s': tensor '%s' is %s: convert it to F32", file->path, tensor->name,
                        tensor->dtype);
    return an_file_pread(file->fd, out, tensor->end - tensor->begin, file->data_offset + tensor->begin, file->path);
}
