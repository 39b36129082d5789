/* The one scan of an ordinary baseline JPEG, straight into the streams of rows of blocks: no coefficient is ever laid
 * out in between. libjpeg-turbo has read the header; whatever is out of the ordinary here, damage included, is left to
 * it. Internal to store. */
#ifndef AN_STORE_COEF_SCAN_H
#define AN_STORE_COEF_SCAN_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h> /* jpeglib.h wants it */

#include <jpeglib.h>

#include "store/coef_format.h"
#include "store/coef_pack.h"

enum { AN_COEF_SCAN_PACKERS = 4 }; /* rows of blocks in an MCU row at most */

typedef struct an_coef_scan an_coef_scan;
int an_coef_scan_create(an_coef_scan **out);
void an_coef_scan_free(an_coef_scan *scan); /* NULL is fine */

/* Begin after jpeg_read_header; reader is not changed. False: not an ordinary file. */
bool an_coef_scan_start(an_coef_scan *scan, const struct jpeg_decompress_struct *reader, const an_coef_layout *layout);

/* One MCU row into packers that were started: the luma rows of blocks, then Cb, then Cr. False: leave it to
 * libjpeg-turbo. */
bool an_coef_scan_mcu_row(an_coef_scan *scan, uint32_t mcu_row, an_coef_packer packers[AN_COEF_SCAN_PACKERS]);

/* Whether the file ends as it should after the last MCU row. */
bool an_coef_scan_end(const an_coef_scan *scan);

#endif
