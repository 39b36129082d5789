/* Protobuf's wire format (https://protobuf.dev/programming-guides/encoding/), as much of it as TensorBoard's events
 * need.
 *
 * Each function appends to out unless *rc already holds a failure, and stores its own failure there: a message is put
 * together field by field and *rc looked at once, at the end. */
#ifndef AN_TRAIN_WATCH_WIRE_H
#define AN_TRAIN_WATCH_WIRE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

typedef enum { AN_WIRE_VARINT = 0, AN_WIRE_DOUBLE = 1, AN_WIRE_BYTES = 2, AN_WIRE_FLOAT = 5 } an_wire_type;

/* Parts of a field. */
void an_wire_put(int *rc, an_buffer *out, const void *data, size_t size); /* as it is */
void an_wire_varint(int *rc, an_buffer *out, uint64_t value);
void an_wire_key(int *rc, an_buffer *out, int field, an_wire_type type);

/* Whole fields. */
void an_wire_unsigned(int *rc, an_buffer *out, int field, uint64_t value);
void an_wire_double(int *rc, an_buffer *out, int field, double value);
void an_wire_bytes(int *rc, an_buffer *out, int field, const void *data, size_t size);
void an_wire_text(int *rc, an_buffer *out, int field, const char *text);

#endif
