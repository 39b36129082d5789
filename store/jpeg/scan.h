/* Decoding the scan of an ordinary baseline JPEG into rows of blocks of coefficients, with our own Huffman decoder.
 * libjpeg-turbo has read the header. Whatever is out of the ordinary, damage included, is refused and left to it.
 *
 * For the JPEG decoder (fast.c) and for the coef encoder. A handle keeps the scan's data and the Huffman tables, is
 * reused from file to file and belongs to one thread at a time. */
#ifndef AN_STORE_JPEG_SCAN_H
#define AN_STORE_JPEG_SCAN_H

#include <stdbool.h>
#include <stdio.h> /* jpeglib.h needs it */

#include <jpeglib.h>

#include "store/image/planes/blocks.h"

/* How the image whose header was read is divided into blocks; quantisation tables are not set. False: not one of the
 * colour spaces, samplings and sizes that an_blocks describes. */
bool an_jpeg_blocks(const struct jpeg_decompress_struct *reader, an_blocks *blocks);

typedef struct an_jpeg_scan an_jpeg_scan;
int an_jpeg_scan_create(an_jpeg_scan **out);
void an_jpeg_scan_free(an_jpeg_scan *scan); /* NULL is fine */

/* Begin with the scan of a file after jpeg_read_header. `reader` is not changed. `blocks` comes from an_jpeg_blocks and
 * gets its quantisation tables, which belong to the scan and are valid until the next start. False: not an ordinary
 * file. */
bool an_jpeg_scan_start(an_jpeg_scan *scan, const struct jpeg_decompress_struct *reader, an_blocks *blocks);

/* Decode the next MCU row: the rows of blocks of luma, then Cb, then Cr, into blocks that the caller has set to zero.
 * Columns outside [first, end) are decoded and dropped. False: leave the file to libjpeg-turbo. */
bool an_jpeg_scan_mcu_row(an_jpeg_scan *scan, const an_blocks_row rows[AN_BLOCKS_MCU_ROWS]);

/* After the last MCU row: whether the file ends there, as it should. */
bool an_jpeg_scan_end(const an_jpeg_scan *scan);

#endif
