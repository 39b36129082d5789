/* Decoding the Huffman codes of a baseline JPEG, one block at a time: code tables and the reader of the bit stream.
 *
 * The speed of such a decoder is limited by the chain from one symbol to the next: look up the next bits of the stream,
 * shift them out, look up again. So each lookup gives as much as it can: a code with its additional bits, or two of
 * them, or one and the end of the block. The bits in a register are refilled once for four lookups. And the loop has a
 * single branch: everything out of the ordinary is marked by an impossible position in the block.
 *
 * Nothing is allocated. False is returned for whatever libjpeg-turbo has to judge; no message is set. */
#ifndef AN_STORE_JPEG_HUFFMAN_PRIVATE_H
#define AN_STORE_JPEG_HUFFMAN_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h> /* jpeglib.h needs it */

#include <jpeglib.h>

enum {
    AN_HUFFMAN_AC_BITS = 11,
    AN_HUFFMAN_DC_BITS = 9,
    AN_HUFFMAN_OVERRUN = 512 /* zero bytes that must follow the stream: one block may read so far beyond its end */
};

typedef struct {
    JHUFF_TBL source;   /* the table in the file */
    uint32_t limit[18]; /* by code length: the first 16-bit prefix that lies beyond its codes */
    int32_t offset[17]; /* by code length: from a code to its position among the source's symbols */
    bool made;
} an_huffman_codes;

/* An entry of lookup, from the lowest bit: number of bits used (6 bits), zeros before the first value (2), how far the
 * position in the block moves (8), the first of two values (8), the last value (8). */
typedef struct {
    an_huffman_codes codes;
    uint32_t lookup[1 << AN_HUFFMAN_AC_BITS];
} an_huffman_ac;

/* An entry of lookup, from the lowest bit: number of bits of code and difference (8 bits), of the difference alone (8).
 * 0: the code is longer, or there is none. */
typedef struct {
    an_huffman_codes codes;
    uint16_t lookup[1 << AN_HUFFMAN_DC_BITS];
} an_huffman_dc;

/* Make a table, unless it was made from the same source the last time: most files of a dataset share their tables.
 * False when the source is no prefix code of JPEG, or a DC table has symbols beyond 15. */
bool an_huffman_ac_set(an_huffman_ac *table, const JHUFF_TBL *source);
bool an_huffman_dc_set(an_huffman_dc *table, const JHUFF_TBL *source);

/* The next bits of the stream, from the highest down. At least `available` of them are valid. */
typedef struct {
    uint64_t bits;
    unsigned available;
    const uint8_t *next;
} an_huffman_window;

/* Decode one block into 64 coefficients in row-major order, which the caller has set to zero. *dc is the component's
 * last DC coefficient and becomes this block's. False: no such code, too many coefficients, or a DC coefficient outside
 * -32767 to 32767. At most AN_HUFFMAN_OVERRUN bytes are read. */
bool an_huffman_block(const an_huffman_dc *dc_table, const an_huffman_ac *ac_table, an_huffman_window *window, int *dc,
                      int16_t block[64]);

#endif
