#include "train/watch/wire.h"

#include <string.h>

#include "base/error.h"

void an_wire_put(int *rc, an_buffer *out, const void *data, size_t size)
{
    if (!*rc)
        *rc = an_buffer_append(out, data, size);
}

void an_wire_varint(int *rc, an_buffer *out, uint64_t value)
{
    uint8_t bytes[10];
    size_t size = 0;
    for (; value >= 0x80; value >>= 7)
        bytes[size++] = (uint8_t)(value | 0x80);
    bytes[size++] = (uint8_t)value;
    an_wire_put(rc, out, bytes, size);
}

void an_wire_key(int *rc, an_buffer *out, int field, an_wire_type type)
{
    an_wire_varint(rc, out, (uint64_t)field << 3 | type);
}

void an_wire_unsigned(int *rc, an_buffer *out, int field, uint64_t value)
{
    an_wire_key(rc, out, field, AN_WIRE_VARINT);
    an_wire_varint(rc, out, value);
}

void an_wire_double(int *rc, an_buffer *out, int field, double value)
{
    an_wire_key(rc, out, field, AN_WIRE_DOUBLE);
    an_wire_put(rc, out, &value, sizeof(value));
}

void an_wire_bytes(int *rc, an_buffer *out, int field, const void *data, size_t size)
{
    an_wire_key(rc, out, field, AN_WIRE_BYTES);
    an_wire_varint(rc, out, size);
    an_wire_put(rc, out, data, size);
}

void an_wire_text(int *rc, an_buffer *out, int field, const char *text)
{
    an_wire_bytes(rc, out, field, text, strlen(text));
}
