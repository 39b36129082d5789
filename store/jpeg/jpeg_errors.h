/* libjpeg-turbo's errors as return codes, and the decoder handle that the files of store/jpeg/jpeg.h share. Internal.
 */
#ifndef AN_STORE_JPEG_JPEG_ERRORS_H
#define AN_STORE_JPEG_JPEG_ERRORS_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h> /* jpeglib.h wants it */

#include <jpeglib.h>

#include "base/buffer.h"
#include "store/coef/coef.h"
#include "store/jpeg/jpeg.h"

typedef struct {
    struct jpeg_error_mgr manager; /* first: libjpeg hands back a pointer to it */
    jmp_buf escape;
    char warning[JMSG_LENGTH_MAX]; /* the first one since an_jpeg_errors_reset */
    int warnings;
    bool truncated;
    int code; /* of the error that escaped; its message is this thread's */
} an_jpeg_errors;

/* Fills in manager; jpeg->err = &errors->manager is the caller's. */
void an_jpeg_errors_init(an_jpeg_errors *errors);
void an_jpeg_errors_reset(an_jpeg_errors *errors);

/* Call work(context); an error that libjpeg-turbo raises inside comes back as a code. Nothing that work allocates
 * itself may be known to its local variables alone. */
int an_jpeg_guard(an_jpeg_errors *errors, int (*work)(void *context), void *context);

/* Leave an_jpeg_guard with a code whose message is set: from libjpeg-turbo's callbacks. */
_Noreturn void an_jpeg_escape(an_jpeg_errors *errors, int code);

struct an_jpeg_decoder {
    an_jpeg_errors errors;
    struct jpeg_decompress_struct jpeg;
    struct jpeg_progress_mgr progress;
    an_buffer row;             /* scanlines that cannot go straight to their place */
    struct an_coef_scan *scan; /* of jpeg_fast.c: NULL where that is not used */
    an_coef_decoder *coef;
};

/* jpeg_fast.c. Decode a window after the header has been read; all: the rest of the file is looked at, too. AN_AGAIN:
 * libjpeg-turbo has to do it, as if nothing had happened. */
int an_jpeg_fast_create(an_jpeg_decoder *decoder);
void an_jpeg_fast_free(an_jpeg_decoder *decoder);
int an_jpeg_fast_decode(an_jpeg_decoder *decoder, const an_coef_window *window, bool all, uint8_t *out, size_t stride);

/* Start reading: the header has been read, errors are reset. For use under an_jpeg_guard. */
void an_jpeg_read_header(an_jpeg_decoder *decoder, const uint8_t *data, size_t size);

/* Ask for ISLOW, fancy upsampling, and RGB where libjpeg-turbo can give it, else CMYK. */
void an_jpeg_set_output(an_jpeg_decoder *decoder);

/* CMYK as libjpeg-turbo gave it, to RGB. */
void an_jpeg_from_cmyk(const an_jpeg_decoder *decoder, const uint8_t *cmyk, size_t pixels, uint8_t *rgb);

#endif
