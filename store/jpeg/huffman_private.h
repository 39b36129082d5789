/* Decoding the Huffman codes of a baseline JPEG, a block at a time: tables and the stream's window. Internal to store.
 *
 * What binds such a decoder is the chain from one symbol to the next: look up the stream's next bits, shift them out,
 * look up again. So a lookup gives all that it can: a code with its additional bits, or two of them in a row, or one
 * and the end of the block; the window, filled once, serves four lookups; and the loop has a single branch, because all
 * that is not plain makes the position in the block impossible. */
#ifndef AN_STORE_JPEG_HUFFMAN_PRIVATE_H
#define AN_STORE_JPEG_HUFFMAN_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h> /* jpeglib.h wants it */

#include <jpeglib.h>

enum {
    AN_HUFFMAN_AC_BITS = 11,
    AN_HUFFMAN_DC_BITS = 9,
    AN_HUFFMAN_OVERRUN = 512 /* zero bytes behind the stream: what one block may use where there is nothing left */
};

typedef struct {
    JHUFF_TBL source;   /* what it was made from */
    uint32_t limit[18]; /* for a code length: the first 16-bit prefix beyond its codes; the last one is never reached */
    int32_t offset[17]; /* code -> position in the source's symbols */
    bool made;
} an_huffman_codes;

/* lookup entry: the bits used (6 bits), zeros before the first value (2), how far the position in the block moves (8),
 * the first of two values (8), the last value (8). */
typedef struct {
    an_huffman_codes codes;
    uint32_t lookup[1 << AN_HUFFMAN_AC_BITS];
} an_huffman_ac;

/* lookup entry: bits of code and difference (8), of the difference alone (8); 0: a longer code, or none. */
typedef struct {
    an_huffman_codes codes;
    uint16_t lookup[1 << AN_HUFFMAN_DC_BITS];
} an_huffman_dc;

/* Make the table if it is not the one made last. False when the source is no prefix code, or a DC table has symbols
 * beyond 15. */
bool an_huffman_ac_set(an_huffman_ac *table, const JHUFF_TBL *source);
bool an_huffman_dc_set(an_huffman_dc *table, const JHUFF_TBL *source);

/* The next bits of the stream, from the top, and at least `available` of them. */
typedef struct {
    uint64_t bits;
    unsigned available;
    const uint8_t *next;
} an_huffman_window;

/* One block into 64 coefficients, row-major, zero before; the DC coefficient is *dc after its difference has been
 * added. False: no such code, too many coefficients, or one beyond -32767 to 32767. At most AN_HUFFMAN_OVERRUN bytes
 * are looked at. */
bool an_huffman_block(const an_huffman_dc *dc_table, const an_huffman_ac *ac_table, an_huffman_window *window, int *dc,
                      int16_t block[64]);

#endif
