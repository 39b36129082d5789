/* A batch of records that have not been decoded, for a device that decodes them itself. It is one block of memory, so
 * that one copy brings it there:
 *
 *     an_image_draw draws[count]       what was drawn for each sample
 *     an_payload places[count]         at an_payload_places_offset: where each sample's payload lies
 *     payloads, one after another      each begins at a multiple of AN_PAYLOAD_ALIGNMENT bytes
 *
 * Several places may name one payload: the ten crops of an image. Offsets count from the block's beginning. Behind the
 * last payload the block ends with AN_PAYLOAD_SLACK bytes of any value, so that a decoder may read a little beyond what
 * belongs to a payload. Nothing between payloads has a meaning. */
#ifndef AN_AUGMENT_PAYLOAD_H
#define AN_AUGMENT_PAYLOAD_H

#include <stddef.h>
#include <stdint.h>

#include "base/format.h"

enum { AN_PAYLOAD_ALIGNMENT = 16, AN_PAYLOAD_SLACK = 64 };

typedef enum {
    AN_PAYLOAD_COEF,  /* the payload of a record of codec coef, as stored (docs/record-format.md) */
    AN_PAYLOAD_PIXELS /* a sample that the host has finished: crop x crop RGB bytes, cropped and mirrored */
} an_payload_kind;

typedef struct {
    uint32_t offset, size; /* bytes */
    uint32_t kind;         /* an_payload_kind */
    uint32_t zero;
} an_payload;

size_t an_payload_align(size_t bytes); /* rounded up to AN_PAYLOAD_ALIGNMENT */

/* Bytes from the block's beginning to places, and to the first payload, of a batch of count samples. */
size_t an_payload_places_offset(uint32_t count);
size_t an_payload_first_offset(uint32_t count);

#endif
