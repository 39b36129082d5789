/* The one scan of an ordinary baseline JPEG, into rows of blocks of coefficients. libjpeg-turbo has read the header;
 * whatever is out of the ordinary here, damage included, is left to it. Internal to store. */
#ifndef AN_STORE_JPEG_SCAN_H
#define AN_STORE_JPEG_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h> /* jpeglib.h wants it */

#include <jpeglib.h>

#include "store/coef/format.h"

enum { AN_COEF_SCAN_ROWS = 4 }; /* rows of blocks in an MCU row at most */

/* Where a row of blocks goes: those of columns [first, end) into blocks, 64 coefficients each in row-major order, zero
 * before. The others are decoded and forgotten. */
typedef struct {
    int16_t (*blocks)[64];
    uint32_t first, end;
} an_coef_scan_row;

typedef struct an_coef_scan an_coef_scan;
int an_coef_scan_create(an_coef_scan **out);
void an_coef_scan_free(an_coef_scan *scan); /* NULL is fine */

/* Begin after jpeg_read_header; reader is not changed and layout gets quantisation tables that live in scan. False: not
 * an ordinary file. */
bool an_coef_scan_start(an_coef_scan *scan, const struct jpeg_decompress_struct *reader, an_coef_layout *layout);

/* The next MCU row: the luma rows of blocks, then Cb, then Cr. False: leave the file to libjpeg-turbo. */
bool an_coef_scan_mcu_row(an_coef_scan *scan, const an_coef_scan_row rows[AN_COEF_SCAN_ROWS]);

/* Decode a window of the image whose scan was just started: as an_coef_decode_window. all: the rest of the file is
 * looked at, too. AN_AGAIN: leave the file to libjpeg-turbo; what was written to rgb is to be written again. */
int an_coef_decode_scan(an_coef_decoder *decoder, an_coef_scan *scan, const an_coef_layout *layout, bool all,
                        const an_coef_window *window, uint8_t *rgb, size_t stride);

/* Whether the file ends as it should after the last MCU row. */
bool an_coef_scan_end(const an_coef_scan *scan);

#endif
