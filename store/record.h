/* A record is one image in a dataset: a header of 32 bytes, little-endian, and a payload in one of the codecs.
 * docs/record-format.md is the specification. Any thread may call these functions. */
#ifndef AN_STORE_RECORD_H
#define AN_STORE_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

#define AN_RECORD_HEADER_SIZE 32
#define AN_RECORD_VERSION 1
#define AN_RECORD_PAYLOAD_MAX (1u << 30) /* bytes */

/* The numbers stand in records, so they stay for ever. Each has its row in codec_table.c. */
typedef enum {
    AN_CODEC_JPEG = 1,   /* a JPEG file (JFIF, baseline unless passed through) */
    AN_CODEC_YUV420 = 2, /* planes Y (h x w), Cb, Cr (ceil(h/2) x ceil(w/2)), full range JFIF YCbCr */
    AN_CODEC_RGB = 3,    /* h x w x 3 bytes, interleaved */
    AN_CODEC_COEF = 4    /* quantised JPEG coefficients, see store/coef/coef.h */
} an_codec;

/* Offsets: 0 magic "ANRC", 4 u8 version, 5 u8 codec, 6 u16 flags (0), 8 u16 width, 10 u16 height, 12 u32 label,
 * 16 u64 XXH3-64 of the payload, 24 u32 payload length, 28 u32 low half of XXH3-64 of header bytes 0..27. */
typedef struct {
    an_codec codec;
    uint32_t width, height; /* pixels */
    uint32_t label;
    uint32_t length; /* payload bytes */
    uint64_t checksum;
} an_record_header;

/* A parsed record. payload points into the bytes that were parsed, and is valid as long as they are. */
typedef struct {
    an_record_header header;
    const uint8_t *payload;
} an_record;

/* The table of codecs (codec_table.c), for code that goes through all codecs. They stand in the order of their numbers.
 */
size_t an_codec_count(void);
extern const char *const an_codec_names[];               /* "jpeg" ...; NULL ends them */
an_codec an_codec_at(size_t i);                          /* i below an_codec_count() */
bool an_codec_known(unsigned number);                    /* is it a codec's number? */
const char *an_codec_name(an_codec codec);               /* "?" if unknown */
int an_codec_from_name(const char *name, an_codec *out); /* an unknown one is AN_EINVAL; the message lists them all */

/* Appends the libraries that codecs need, "libjpeg-turbo 2.1.5\n". */
int an_codec_libraries(an_buffer *out);

/* Set header->checksum to that of the payload, and write the header's bytes to out. */
void an_record_header_write(an_record_header *header, const uint8_t *payload, uint8_t out[AN_RECORD_HEADER_SIZE]);

/* Check the header (magic, version, codec, sizes, its checksum) and that header and payload are `size` bytes together.
 * The payload is not read. AN_EUNSUPPORTED: of another version or codec; AN_ECORRUPT: damaged. */
int an_record_parse(const uint8_t *bytes, size_t size, an_record *out);

/* Compare the payload's XXH3-64 with the header: AN_ECORRUPT on a difference. */
int an_record_verify(const an_record *record);

/* The same while the payload is copied to out, which has room for header.length bytes: memory is read once. Out is
 * undefined after a difference. Fastest where out is aligned to 64 bytes. next: next_size bytes that the caller will
 * read soon, which are fetched into the caches meanwhile; NULL and 0: none. */
int an_record_copy(const an_record *record, uint8_t *out, const uint8_t *next, size_t next_size);

#endif
