/* The handle that both ways between JPEG and coef share. Internal to store. */
#ifndef AN_STORE_COEF_JPEG_H
#define AN_STORE_COEF_JPEG_H

#include "store/coef_format.h"
#include "store/coef_kernels.h"
#include "store/coef_pack.h"
#include "store/coef_scan.h"
#include "store/jpeg_errors.h"

struct an_coef_encoder {
    an_jpeg_errors errors;
    struct jpeg_decompress_struct reader;
    struct jpeg_compress_struct writer;
    struct jpeg_destination_mgr destination;
    an_buffer jpeg; /* what writer makes */
    an_coef_scan *scan;
    an_buffer mcu_row; /* what scan makes */
    an_coef_packer packer;
    an_coef_work work; /* one row of blocks, for the way back */
    size_t blocks;     /* it has room for */
};

/* What the header of a JPEG means for coef. False: not one of its colours, samplings and sizes. */
bool an_coef_has_layout(const struct jpeg_decompress_struct *reader, an_coef_info *info);

/* Where the writer's bytes go. */
void an_coef_set_destination(an_coef_encoder *encoder);

#endif
