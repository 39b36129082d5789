/* The header of a safetensors file, taken from anywhere: nothing in it is trusted. */
#include "train/state/safetensors_private.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text/json.h"

static const struct {
    const char *name;
    uint64_t size;
} dtypes[] = {{"F64", 8},     {"F32", 4},     {"F16", 2},         {"BF16", 2},       {"I64", 8},
              {"I32", 4},     {"I16", 2},     {"I8", 1},          {"U64", 8},        {"U32", 4},
              {"U16", 2},     {"U8", 1},      {"BOOL", 1},        {"C64", 8},        {"F8_E4M3", 1},
              {"F8_E5M2", 1}, {"F8_E8M0", 1}, {"F8_E4M3FNUZ", 1}, {"F8_E5M2FNUZ", 1}};

static uint64_t dtype_size(const char *name)
{
    for (size_t i = 0; name && i < sizeof(dtypes) / sizeof(dtypes[0]); i++)
        if (strcmp(dtypes[i].name, name) == 0)
            return dtypes[i].size;
    return 0;
}

int an_safetensors_damaged(const an_safetensors *file, const char *tensor, const char *what)
{
    if (tensor)
        return an_error(AN_ECORRUPT, "'%s': tensor '%s': %s", file->path, tensor, what);
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
        return an_safetensors_damaged(file, tensor->name, "shape is not a list of at most 8 sizes");
    tensor->rank = (int)json_array_size(shape);
    for (int i = 0; i < tensor->rank; i++)
        if (parse_unsigned(json_array_get(shape, (size_t)i), &tensor->shape[i]) < 0)
            return an_safetensors_damaged(file, tensor->name, "shape holds something that is no size");
    return AN_OK;
}

static int parse_offsets(an_safetensors *file, an_safetensor *tensor, const json_t *offsets)
{
    static const char wrong[] = "data_offsets are not two offsets";
    if (json_array_size(offsets) != 2)
        return an_safetensors_damaged(file, tensor->name, wrong);
    if (parse_unsigned(json_array_get(offsets, 0), &tensor->begin) < 0)
        return an_safetensors_damaged(file, tensor->name, wrong);
    if (parse_unsigned(json_array_get(offsets, 1), &tensor->end) < 0)
        return an_safetensors_damaged(file, tensor->name, wrong);
    return AN_OK;
}

static int parse_tensor(an_safetensors *file, an_safetensor *tensor, const char *name, const json_t *entry)
{
    tensor->name = name;
    tensor->dtype = json_string_value(json_object_get(entry, "dtype"));
    uint64_t element = dtype_size(tensor->dtype);
    if (element == 0)
        return an_safetensors_damaged(file, name, "unknown or missing dtype");
    int rc = parse_shape(file, tensor, json_object_get(entry, "shape"));
    if (rc)
        return rc;
    rc = parse_offsets(file, tensor, json_object_get(entry, "data_offsets"));
    if (rc)
        return rc;
    if (tensor->begin > tensor->end || tensor->end > file->data_size)
        return an_safetensors_damaged(file, name, "data lies outside the file (truncated?)");
    uint64_t size = 0;
    size_t bytes = 0;
    if (an_safetensor_size(tensor, &size) < 0 || an_size_multiply(size, element, &bytes) < 0 ||
        bytes != tensor->end - tensor->begin)
        return an_safetensors_damaged(file, name, "shape and data_offsets disagree");
    return AN_OK;
}

static int by_begin(const void *a, const void *b)
{
    const an_safetensor *x = a, *y = b;
    if (x->begin != y->begin)
        return x->begin < y->begin ? -1 : 1;
    return (x->end > y->end) - (x->end < y->end);
}

/* Together the tensors must cover the data exactly once: nothing overlaps, and no bytes lie between them. Needs them
 * sorted by_begin. */
static int check_cover(const an_safetensors *file)
{
    uint64_t at = 0;
    for (size_t i = 0; i < file->count; i++) {
        if (file->tensors[i].begin != at)
            return an_safetensors_damaged(file, file->tensors[i].name, "data overlaps its neighbour or leaves a hole");
        at = file->tensors[i].end;
    }
    return at == file->data_size ? AN_OK : an_safetensors_damaged(file, NULL, "bytes after the last tensor");
}

static int check_metadata(const an_safetensors *file)
{
    json_t *metadata = json_object_get(file->header, "__metadata__");
    if (metadata && !json_is_object(metadata))
        return an_safetensors_damaged(file, NULL, "__metadata__ is no object");
    const char *key;
    json_t *value;
    json_object_foreach(metadata, key, value)
    {
        if (!json_is_string(value))
            return an_safetensors_damaged(file, NULL, "__metadata__ holds something that is no string");
    }
    return AN_OK;
}

static int parse_header(an_safetensors *file)
{
    json_error_t fault;
    if (!an_json_within(file->text, file->text_size, AN_SAFETENSORS_VALUES_MAX))
        return an_safetensors_damaged(file, NULL, "header holds more values than any network's");
    file->header = json_loadb(file->text, file->text_size, JSON_REJECT_DUPLICATES, &fault);
    if (!json_is_object(file->header))
        return an_error(AN_ECORRUPT, "'%s': header is no JSON object: %s", file->path, fault.text);
    int rc = check_metadata(file);
    if (rc)
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
        if (rc)
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
    uint64_t size = (uint64_t)st.st_size, length = 0;
    if (size < sizeof(length) + 2)
        return an_safetensors_damaged(file, NULL, "too short to be a safetensors file");
    int rc = an_file_pread(file->fd, &length, sizeof(length), 0, file->path);
    if (rc)
        return rc;
    if (length < 2 || length > AN_SAFETENSORS_HEADER_MAX || length > size - sizeof(length))
        return an_safetensors_damaged(file, NULL, "header length is impossible: not a safetensors file, or truncated");
    file->text = malloc(length);
    if (!file->text)
        return an_error(AN_ENOMEM, "out of memory for the header of '%s'", file->path);
    file->text_size = length;
    file->data_offset = sizeof(length) + length;
    file->data_size = size - file->data_offset;
    return an_file_pread(file->fd, file->text, length, sizeof(length), file->path);
}

int an_safetensors_header(an_safetensors *file)
{
    int rc = read_header(file);
    return rc ? rc : parse_header(file);
}
