/* Writing one row of blocks: the opposite of coef_row.h. Internal to store. */
#ifndef AN_STORE_COEF_PACK_H
#define AN_STORE_COEF_PACK_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/* A row's streams while they grow; zero-initialise. */
typedef struct {
    uint8_t *memory;
    size_t blocks; /* there is room for */
    uint8_t *dc, *lengths, *maps, *crumbs, *nibbles, *bytes, *dc_words, *words;
    size_t block, map_bytes, crumb, nibble, byte, dc_word, word; /* filled so far */
    int16_t previous_dc;
} an_coef_packer;

void an_coef_packer_free(an_coef_packer *packer);

/* Begin a row of blocks. */
int an_coef_packer_start(an_coef_packer *packer, size_t blocks);

/* The next block: 64 coefficients, row-major. */
void an_coef_packer_block(an_coef_packer *packer, const int16_t *block);

size_t an_coef_packer_size(const an_coef_packer *packer);

/* Append the row to out. */
int an_coef_packer_finish(const an_coef_packer *packer, an_buffer *out);

#endif
