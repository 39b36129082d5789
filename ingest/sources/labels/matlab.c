#include "ingest/sources/labels/matlab_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "base/bytes.h"
#include "base/error.h"

enum { HEADER = 128, VERSION = 124, VERSION_5 = 0x0100, VERSION_HDF5 = 0x0200, RANK_MAX = 32 };

/* How an element's values are stored. */
typedef enum {
    INT8 = 1,
    UINT8 = 2,
    INT16 = 3,
    UINT16 = 4,
    INT32 = 5,
    UINT32 = 6,
    SINGLE = 7,
    DOUBLE = 9,
    INT64 = 12,
    UINT64 = 13,
    MATRIX = 14,
    COMPRESSED = 15,
    UTF8 = 16,
    UTF16 = 17
} storage;

static int damaged(const char *what)
{
    return an_error(AN_ECORRUPT, "it is damaged: %s", what);
}

/* The next element: a tag of eight bytes, data, and padding to eight; or, up to four bytes, all in eight. */
static int next_element(an_matlab_bytes *from, uint32_t *type, an_matlab_bytes *data)
{
    *type = 0;
    *data = (an_matlab_bytes){from->end, from->end};
    if (from->end - from->at < 8)
        return damaged("an element is cut short");
    uint32_t first = an_bytes_u32(from->at), size = an_bytes_u32(from->at + 4);
    if (first >> 16) {
        *type = first & 0xffff;
        *data = (an_matlab_bytes){from->at + 4, from->at + 4 + (first >> 16)};
        if (first >> 16 > 4)
            return damaged("a short element is too long");
        from->at += 8;
        return AN_OK;
    }
    if (size > (size_t)(from->end - from->at) - 8)
        return damaged("an element reaches beyond its end");
    *type = first;
    *data = (an_matlab_bytes){from->at + 8, from->at + 8 + size};
    size_t padded = *type == COMPRESSED ? size : ((size_t)size + 7) & ~(size_t)7, left = (size_t)(from->end - data->at);
    from->at = data->at + (padded < left ? padded : left);
    return AN_OK;
}

static int element_of(an_matlab_bytes *from, storage wanted, an_matlab_bytes *data)
{
    uint32_t type = 0;
    int rc = next_element(from, &type, data);
    if (rc)
        return rc;
    return type == wanted ? AN_OK : damaged("an element is of another type than it must be");
}

static int read_dimensions(const an_matlab_bytes *data, an_matlab_array *out)
{
    size_t rank = (size_t)(data->end - data->at) / 4;
    uint64_t columns = 1;
    if (rank < 2 || rank > RANK_MAX)
        return damaged("an array has an impossible number of dimensions");
    out->rows = an_bytes_u32(data->at);
    for (size_t i = 1; i < rank; i++) {
        columns *= an_bytes_u32(data->at + 4 * i);
        if (columns > INT32_MAX)
            break;
    }
    if (out->rows > INT32_MAX || columns > INT32_MAX)
        return damaged("an array has impossible dimensions");
    out->columns = (uint32_t)columns;
    return AN_OK;
}

/* data: of an element MATRIX. An empty one is an empty array. */
static int read_array(an_matlab_bytes data, an_matlab_array *out)
{
    an_matlab_bytes flags = {0}, dimensions = {0};
    memset(out, 0, sizeof(*out));
    if (data.at == data.end)
        return AN_OK;
    int rc = element_of(&data, UINT32, &flags);
    if (!rc && flags.end - flags.at < 4)
        rc = damaged("an array lacks its kind");
    if (rc)
        return rc;
    out->kind = flags.at[0];
    out->complex = flags.at[1] & 8;
    rc = element_of(&data, INT32, &dimensions);
    if (!rc)
        rc = read_dimensions(&dimensions, out);
    if (!rc)
        rc = element_of(&data, INT8, &out->name);
    out->body = data;
    return rc;
}

/* --- variables ------------------------------------------------------------------------------------------------- */

/* left: bytes that the file's variables may still unpack to. */
static int unpack(const an_matlab_bytes *data, an_buffer *out, size_t *left)
{
    z_stream z = {.next_in = (Bytef *)(uintptr_t)data->at, .avail_in = (uInt)(data->end - data->at)};
    int status = inflateInit(&z), rc = status == Z_OK ? AN_OK : an_error(AN_ENOMEM, "out of memory for meta.mat");
    for (out->size = 0; !rc && status == Z_OK; out->size = z.total_out) {
        rc = an_buffer_reserve(out, out->size + 4096);
        z.next_out = out->data + out->size;
        z.avail_out = (uInt)(out->capacity - out->size);
        if (!rc)
            status = inflate(&z, Z_NO_FLUSH);
        if (!rc && z.total_out > *left)
            rc = an_error(AN_EUNSUPPORTED, "it unpacks to more than %zu MB", AN_MATLAB_UNPACKED_MAX >> 20);
    }
    inflateEnd(&z);
    *left -= rc ? 0 : out->size;
    if (!rc && status != Z_STREAM_END)
        rc = status == Z_MEM_ERROR ? an_error(AN_ENOMEM, "out of memory for meta.mat")
                                   : damaged("zlib cannot unpack it");
    return rc;
}

static bool is_called(const an_matlab_array *array, const char *name)
{
    size_t size = strlen(name);
    return (size_t)(array->name.end - array->name.at) == size && memcmp(array->name.at, name, size) == 0;
}

static int check_header(const an_buffer *file)
{
    if (file->size < HEADER)
        return an_error(AN_ECORRUPT, "it is no MATLAB file");
    if (memcmp(file->data + VERSION + 2, "MI", 2) == 0)
        return an_error(AN_EUNSUPPORTED, "it has the byte order of other machines: save it again on this kind");
    if (memcmp(file->data + VERSION + 2, "IM", 2) != 0)
        return an_error(AN_ECORRUPT, "it is no MATLAB file");
    uint16_t version = an_bytes_u16(file->data + VERSION);
    if (version == VERSION_HDF5)
        return an_error(AN_EUNSUPPORTED, "it is a MATLAB file of version 7.3 (HDF5): save it with '-v7'");
    if (version != VERSION_5)
        return an_error(AN_ECORRUPT, "it is a MATLAB file of unknown version 0x%04x", version);
    return AN_OK;
}

int an_matlab_find(const an_buffer *file, const char *name, an_buffer *unpacked, an_matlab_array *out)
{
    int rc = check_header(file);
    if (rc)
        return rc;
    size_t left = AN_MATLAB_UNPACKED_MAX;
    an_matlab_bytes rest = {file->data + HEADER, file->data + file->size};
    while (!rc && rest.end - rest.at >= 8) {
        an_matlab_bytes data;
        uint32_t type;
        rc = next_element(&rest, &type, &data);
        if (!rc && type == COMPRESSED) {
            rc = unpack(&data, unpacked, &left);
            an_matlab_bytes inside = {unpacked->data, unpacked->data + unpacked->size};
            if (!rc)
                rc = next_element(&inside, &type, &data);
        }
        if (!rc && type == MATRIX)
            rc = read_array(data, out);
        if (!rc && type == MATRIX && is_called(out, name))
            return AN_OK;
    }
    return rc ? rc : an_error(AN_ECORRUPT, "it holds no variable '%s'", name);
}

/* --- struct arrays --------------------------------------------------------------------------------------------- */

int an_matlab_struct_open(an_matlab_struct *out, const an_matlab_array *array)
{
    an_matlab_bytes size, names;
    memset(out, 0, sizeof(*out));
    if (array->kind != AN_MATLAB_STRUCT)
        return an_error(AN_ECORRUPT, "it is no struct array");
    out->rest = array->body;
    int rc = element_of(&out->rest, INT32, &size);
    if (!rc && size.end - size.at != 4)
        rc = damaged("the length of field names is missing");
    if (!rc)
        rc = element_of(&out->rest, INT8, &names);
    if (rc)
        return rc;
    out->name_size = an_bytes_u32(size.at);
    if (out->name_size < 1 || (size_t)(names.end - names.at) % out->name_size)
        return damaged("the names of fields do not fill their place");
    out->names = names.at;
    out->fields = (uint32_t)((size_t)(names.end - names.at) / out->name_size);
    for (uint32_t i = 0; i < out->fields; i++)
        if (!memchr(out->names + (size_t)i * out->name_size, 0, out->name_size))
            return damaged("the name of a field has no end");
    /* Each field takes eight bytes at least. */
    uint64_t elements = (uint64_t)array->rows * array->columns, room = (uint64_t)(out->rest.end - out->rest.at) / 8;
    if (elements > room || elements * out->fields > room)
        return damaged("a struct array has more elements than data");
    out->count = (uint32_t)elements;
    return AN_OK;
}

uint32_t an_matlab_field(const an_matlab_struct *s, const char *name)
{
    uint32_t i = 0;
    while (i < s->fields && strcmp((const char *)s->names + (size_t)i * s->name_size, name) != 0)
        i++;
    return i;
}

int an_matlab_next(an_matlab_struct *s, an_matlab_array *out)
{
    an_matlab_bytes data;
    int rc = element_of(&s->rest, MATRIX, &data);
    return rc ? rc : read_array(data, out);
}

/* --- values ---------------------------------------------------------------------------------------------------- */

/* Bytes a value; 0: no numbers. */
static size_t width_of(uint32_t type)
{
    static const uint8_t widths[] = {[INT8] = 1,   [UINT8] = 1,  [INT16] = 2,  [UINT16] = 2, [INT32] = 4,
                                     [UINT32] = 4, [SINGLE] = 4, [DOUBLE] = 8, [INT64] = 8,  [UINT64] = 8};
    return type < sizeof(widths) ? widths[type] : 0;
}

static double value_of(uint32_t type, const uint8_t *at)
{
    float single;
    double whole;
    switch (type) {
    case INT8:
        return (int8_t)*at;
    case UINT8:
        return *at;
    case INT16:
        return (int16_t)an_bytes_u16(at);
    case UINT16:
        return an_bytes_u16(at);
    case INT32:
        return (int32_t)an_bytes_u32(at);
    case UINT32:
        return an_bytes_u32(at);
    case SINGLE:
        memcpy(&single, at, sizeof(single));
        return (double)single;
    case DOUBLE:
        memcpy(&whole, at, sizeof(whole));
        return whole;
    case INT64:
        return (double)(int64_t)an_bytes_u64(at);
    default:
        return (double)an_bytes_u64(at);
    }
}

bool an_matlab_whole(const an_matlab_array *array, uint32_t max, uint32_t *value)
{
    an_matlab_bytes body = array->body, data;
    uint32_t type;
    if (array->kind < AN_MATLAB_DOUBLE || array->kind > AN_MATLAB_UINT64 || array->complex)
        return false;
    if (array->rows != 1 || array->columns != 1 || next_element(&body, &type, &data))
        return false;
    size_t width = width_of(type);
    if (!width || (size_t)(data.end - data.at) != width)
        return false;
    double number = value_of(type, data.at);
    if (!(number >= 0 && number <= max) || number != floor(number))
        return false;
    *value = (uint32_t)number;
    return true;
}

static char *put_character(char *out, uint32_t code)
{
    if (code >= 0x800) {
        *out++ = (char)(0xe0 | code >> 12);
        *out++ = (char)(0x80 | (code >> 6 & 0x3f));
        code = 0x80 | (code & 0x3f);
    } else if (code >= 0x80) {
        *out++ = (char)(0xc0 | code >> 6);
        code = 0x80 | (code & 0x3f);
    }
    *out++ = (char)code;
    return out;
}

/* Characters beyond 16 bits, which take two units, are not met in this file. */
static bool is_character(uint32_t code)
{
    return code != 0 && (code < 0xd800 || code > 0xdfff);
}

int an_matlab_text(char **out, const an_matlab_array *array)
{
    an_matlab_bytes body = array->body, data = {0};
    uint32_t type = UTF8;
    *out = NULL;
    if (array->kind != AN_MATLAB_TEXT || array->rows > 1)
        return AN_ENOTFOUND;
    if (body.at < body.end && next_element(&body, &type, &data))
        return AN_ENOTFOUND;
    size_t unit = type == UINT16 || type == UTF16 ? 2 : 1, size = (size_t)(data.end - data.at);
    if ((unit == 1 && type != UTF8 && type != UINT8 && type != INT8) || size % unit)
        return AN_ENOTFOUND;
    char *text = malloc(unit == 2 ? size / 2 * 3 + 1 : size + 1), *end = text;
    if (!text)
        return an_error(AN_ENOMEM, "out of memory for meta.mat");
    bool sound = true;
    for (size_t i = 0; i < size; i += unit) {
        uint32_t code = unit == 2 ? an_bytes_u16(data.at + i) : data.at[i];
        sound &= is_character(code);
        if (unit == 1)
            *end++ = (char)code;
        else
            end = put_character(end, code);
    }
    *end = 0;
    if (!sound) {
        free(text);
        return AN_ENOTFOUND;
    }
    *out = text;
    return AN_OK;
}
