/* The JPEG decoder's handle and the steps that jpeg.c (the handle, headers), whole.c (whole files), window.c (windows)
 * and fast.c (our own decoder) share. */
#ifndef AN_STORE_JPEG_JPEG_PRIVATE_H
#define AN_STORE_JPEG_JPEG_PRIVATE_H

#include "base/buffer.h"
#include "store/image/planes/planes.h"
#include "store/jpeg/errors.h"
#include "store/jpeg/header.h"
#include "store/jpeg/jpeg.h"
#include "store/jpeg/scan.h"

struct an_jpeg_decoder {
    an_jpeg_errors errors;
    struct jpeg_decompress_struct jpeg; /* in a file during a call, from an_jpeg_read_header to an_jpeg_close */
    an_jpeg_limits limits;
    const uint8_t *step, *end; /* whole.c's: where the next step of the file begins, and where the file ends */
    an_buffer row;             /* for rows that cannot be decoded straight into the caller's image */
    an_jpeg_scan *scan;        /* these two are fast.c's; NULL where it is not used */
    an_planes *planes;
};

/* fast.c: decode a window with our own decoder, after the header has been read. `all`: decode the rest of the file too,
 * so that damage behind the window is noticed. AN_AGAIN: this file is for libjpeg-turbo, whose state is unchanged; the
 * pixels written so far are to be overwritten. */
int an_jpeg_fast_create(an_jpeg_decoder *decoder);
void an_jpeg_fast_free(an_jpeg_decoder *decoder);
int an_jpeg_fast_decode(an_jpeg_decoder *decoder, const an_window *window, bool all, uint8_t *out, size_t stride);

/* an_jpeg_open with what the handle has. To be called under an_jpeg_guard, and to be followed by an_jpeg_close. */
void an_jpeg_read_header(an_jpeg_decoder *decoder, const uint8_t *data, size_t size);

/* What the header says; no warnings. */
void an_jpeg_describe(const an_jpeg_decoder *decoder, an_jpeg_info *info);

/* Ask libjpeg-turbo for its exact inverse DCT, fancy upsampling, and RGB, or CMYK for files of four components. */
void an_jpeg_set_output(an_jpeg_decoder *decoder);

/* CMYK pixels as libjpeg-turbo gave them to RGB. */
void an_jpeg_from_cmyk(const uint8_t *cmyk, size_t pixels, uint8_t *rgb);

#endif
