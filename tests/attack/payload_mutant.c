#include "tests/attack/payload_mutant.h"

#include <string.h>

#include "base/bytes.h"
#include "base/error.h"

enum { HEAD = 200, CHANGES_MAX = 6, COEF_HEADER = 8, COEF_PADDING = 64 };

/* Half of the places lie near the beginning, where headers and lengths are. */
static size_t place(an_rng *rng, size_t size)
{
    size_t near = size < HEAD ? size : HEAD;
    return an_rng_below(rng, (uint32_t)(an_rng_below(rng, 2) ? size : near));
}

static void flip_bit(an_rng *rng, an_buffer *out)
{
    out->data[place(rng, out->size)] ^= (uint8_t)(1 << an_rng_below(rng, 8));
}

static void set_byte(an_rng *rng, an_buffer *out)
{
    static const uint8_t values[] = {0, 1, 0x7f, 0x80, 0x88, 0xd8, 0xda, 0xdd, 0xfe, 0xff};
    out->data[place(rng, out->size)] = values[an_rng_below(rng, sizeof(values))];
}

/* Bytes of one place stand in another as well. */
static void copy_range(an_rng *rng, an_buffer *out)
{
    size_t from = place(rng, out->size), to = place(rng, out->size), most = out->size - (from > to ? from : to);
    size_t size = 1 + an_rng_below(rng, (uint32_t)(most < 64 ? most : 64));
    memmove(out->data + to, out->data + from, size < most ? size : most);
}

static void remove_range(an_rng *rng, an_buffer *out)
{
    size_t at = place(rng, out->size), size = 1 + an_rng_below(rng, 32);
    if (at + size >= out->size)
        size = 1;
    if (out->size == 1)
        return;
    memmove(out->data + at, out->data + at + size, out->size - at - size);
    out->size -= size;
}

static void truncate(an_rng *rng, an_buffer *out)
{
    out->size = 1 + an_rng_below(rng, (uint32_t)out->size);
}

/* A run of equal bytes: maps and lengths that are full, or empty. */
static void fill_range(an_rng *rng, an_buffer *out)
{
    static const uint8_t values[] = {0, 0x88, 0x80, 0xff};
    size_t at = place(rng, out->size), size = 1 + an_rng_below(rng, 64), left = out->size - at;
    memset(out->data + at, values[an_rng_below(rng, sizeof(values))], size < left ? size : left);
}

/* coef: a row of blocks gets bytes of its neighbour, so that the lengths still add up. */
static void move_row_end(an_rng *rng, an_buffer *out)
{
    if (out->size < COEF_HEADER + 64 + 4 + COEF_PADDING || out->data[2] < 1 || out->data[2] > 3)
        return;
    size_t lengths = COEF_HEADER + 64 * (size_t)out->data[2];
    size_t at = lengths + 2 * (size_t)an_rng_below(rng, (an_bytes_u16(out->data + 6) + 7u) / 8u + 1);
    if (at + 4 > out->size)
        return;
    uint16_t by = (uint16_t)(1 + an_rng_below(rng, 8)), a = (uint16_t)(an_bytes_u16(out->data + at) + by),
             b = (uint16_t)(an_bytes_u16(out->data + at + 2) - by);
    memcpy(out->data + at, (const uint8_t[4]){(uint8_t)a, (uint8_t)(a >> 8), (uint8_t)b, (uint8_t)(b >> 8)}, 4);
}

int mutate_payload(an_rng *rng, const an_buffer *payload, an_codec codec, an_buffer *out)
{
    static void (*const changes[])(an_rng *, an_buffer *) = {flip_bit,   flip_bit,   flip_bit, set_byte,    set_byte,
                                                             copy_range, fill_range, truncate, remove_range};
    out->size = 0;
    int rc = an_buffer_append(out, payload->data, payload->size);
    for (uint32_t left = 1 + an_rng_below(rng, CHANGES_MAX); !rc && left > 0; left--) {
        if (codec == AN_CODEC_COEF && an_rng_below(rng, 4) == 0)
            move_row_end(rng, out);
        else if (codec == AN_CODEC_COEF || codec == AN_CODEC_JPEG || an_rng_below(rng, 8) == 0)
            changes[an_rng_below(rng, sizeof(changes) / sizeof(changes[0]))](rng, out);
        else
            flip_bit(rng, out); /* the size of the others is fixed: most changes to it are refused at once */
    }
    return rc;
}
