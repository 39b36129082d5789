#include "tests/ingest/mat.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <cmocka.h>

#include "base/bytes.h"

enum { INT8 = 1, INT32 = 5, UINT32 = 6, DOUBLE = 9, MATRIX = 14, COMPRESSED = 15, UTF16 = 17, NAME = 32, HEADER = 128 };

static void put(an_buffer *out, const void *data, size_t size)
{
    assert_int_equal(an_buffer_append(out, data, size), 0);
}

void mat_element(an_buffer *out, uint32_t type, const void *data, size_t size)
{
    static const uint8_t zeros[8];
    uint8_t tag[8];
    an_bytes_put_u32(tag, type);
    an_bytes_put_u32(tag + 4, (uint32_t)size);
    put(out, tag, sizeof(tag));
    put(out, data, size);
    put(out, zeros, (8 - size % 8) % 8);
}

static void put_array(an_buffer *out, uint32_t flags, uint32_t rows, uint32_t columns, const char *name,
                      const an_buffer *body)
{
    an_buffer inside = {0};
    uint8_t pair[8] = {0};
    an_bytes_put_u32(pair, flags);
    mat_element(&inside, UINT32, pair, sizeof(pair));
    an_bytes_put_u32(pair, rows);
    an_bytes_put_u32(pair + 4, columns);
    mat_element(&inside, INT32, pair, sizeof(pair));
    mat_element(&inside, INT8, name, strlen(name));
    put(&inside, body->data, body->size);
    mat_element(out, MATRIX, inside.data, inside.size);
    an_buffer_free(&inside);
}

void mat_array(an_buffer *out, uint32_t flags, uint32_t rows, uint32_t columns, const an_buffer *body)
{
    put_array(out, flags, rows, columns, "", body);
}

void mat_number(an_buffer *out, double value)
{
    an_buffer body = {0};
    mat_element(&body, DOUBLE, &value, sizeof(value));
    mat_array(out, 6, 1, 1, &body);
    an_buffer_free(&body);
}

void mat_text(an_buffer *out, const char *text)
{
    an_buffer units = {0}, body = {0};
    for (const char *at = text; *at; at++)
        put(&units, (const char[2]){*at, 0}, 2);
    mat_element(&body, UTF16, units.data, units.size);
    mat_array(out, 4, 1, (uint32_t)strlen(text), &body);
    an_buffer_free(&units);
    an_buffer_free(&body);
}

static void put_field(an_buffer *out, const an_buffer *given, const char *text, double number)
{
    if (given)
        put(out, given->data, given->size);
    else if (text)
        mat_text(out, text);
    else
        mat_number(out, number);
}

void mat_file(an_buffer *out, const mat_synset *synsets, uint32_t count, uint32_t rows)
{
    static const char names[4][NAME] = {"ILSVRC2012_ID", "WNID", "words", "num_children"};
    uint8_t header[HEADER] = "MATLAB 5.0 MAT-file", size[4] = {NAME};
    memcpy(header + HEADER - 4, "\0\1IM", 4);
    an_buffer body = {0};
    mat_element(&body, INT32, size, sizeof(size));
    mat_element(&body, INT8, names, sizeof(names));
    for (uint32_t i = 0; i < count; i++) {
        char wnid[16];
        snprintf(wnid, sizeof(wnid), "n%02u", count - i);
        put_field(&body, synsets[i].id, NULL, i + 1);
        put_field(&body, synsets[i].wnid, wnid, 0);
        put_field(&body, synsets[i].words, "words", 0);
        put_field(&body, synsets[i].children, NULL, 0);
    }
    put(out, header, sizeof(header));
    put_array(out, 2, rows, 1, "synsets", &body);
    an_buffer_free(&body);
}

void mat_compress(an_buffer *out, const an_buffer *file)
{
    uLongf size = compressBound(file->size);
    uint8_t *packed = malloc(size), tag[8];
    assert_non_null(packed);
    assert_int_equal(compress(packed, &size, file->data + HEADER, file->size - HEADER), Z_OK);
    an_bytes_put_u32(tag, COMPRESSED);
    an_bytes_put_u32(tag + 4, (uint32_t)size);
    put(out, file->data, HEADER);
    put(out, tag, sizeof(tag));
    put(out, packed, size);
    free(packed);
}
