/* libjpeg-turbo's errors as return codes. libjpeg-turbo reports an error by a callback that must not return; here it
 * jumps (longjmp) back into an_jpeg_guard, which returns a code of base/error.h. Warnings are counted and judged: a
 * harmless one leaves every pixel as it should be.
 *
 *     harmless   JWRN_JFIF_MAJOR       JFIF of an unknown version
 *                JWRN_ADOBE_XFORM      Adobe's marker names an unknown colour space: YCbCr or YCCK is taken, as is
 * usual JWRN_NOT_SEQUENTIAL   numbers in the header of a scan that only progressive files use JWRN_EXTRANEOUS_DATA
 * bytes between segments, unless a restart marker follows the end    JWRN_JPEG_EOF         the file ends without its
 * end marker: harmless if all data were there JWRN_HIT_MARKER       data end before the picture does, at the end marker
 *                JWRN_MUST_RESYNC      the end marker where a restart marker should be
 *     damage     JWRN_HUFF_BAD_CODE, JWRN_ARITH_BAD_CODE, JWRN_BOGUS_PROGRESSION, the three above at other markers, and
 *                every warning that is not listed. JWRN_BOGUS_ICC and JWRN_TOO_MUCH_DATA cannot occur here.
 *
 * For the JPEG codec and for codec coef, which uses libjpeg-turbo too. An an_jpeg_errors is part of the handle of a
 * decoder or an encoder and, like it, belongs to one thread at a time. */
#ifndef AN_STORE_JPEG_ERRORS_H
#define AN_STORE_JPEG_ERRORS_H

#include <setjmp.h>
#include <stdbool.h>
#include <stdio.h> /* jpeglib.h needs it */

#include <jpeglib.h>

typedef struct {
    struct jpeg_error_mgr manager; /* first: libjpeg-turbo passes a pointer to it */
    jmp_buf escape;
    /* Since an_jpeg_errors_reset: */
    int warnings;
    char warning[JMSG_LENGTH_MAX]; /* the first one */
    char damage[JMSG_LENGTH_MAX];  /* the first that says that pixels are wrong; empty: none did */
    bool surplus;                  /* there were bytes between segments, behind the first data */
    bool no_end;                   /* the file ended without its end marker */
    bool cut;                      /* a scan's data ended early, so part of the picture is filler */
    int code;                      /* of the error that ended an_jpeg_guard; its message is this thread's */
} an_jpeg_errors;

/* Fill in manager. The caller lets the libjpeg-turbo handle's `err` point to it. */
void an_jpeg_errors_init(an_jpeg_errors *errors);
void an_jpeg_errors_reset(an_jpeg_errors *errors);

/* Call work(context) and return its code, or that of an error that libjpeg-turbo raised inside. Such an error jumps out
 * of `work`: whatever work allocates must be reachable from elsewhere than its local variables. */
int an_jpeg_guard(an_jpeg_errors *errors, int (*work)(void *context), void *context);

/* End an_jpeg_guard with a code whose message is set. For callbacks of libjpeg-turbo, which cannot return one. */
_Noreturn void an_jpeg_escape(an_jpeg_errors *errors, int code);

#endif
