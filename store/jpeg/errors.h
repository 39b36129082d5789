/* libjpeg-turbo's errors as return codes. libjpeg-turbo reports an error by a callback that must not return; here it
 * jumps (longjmp) back into an_jpeg_guard, which returns a code of base/error.h. Warnings are counted.
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
    char warning[JMSG_LENGTH_MAX]; /* the first one since an_jpeg_errors_reset */
    int warnings;
    bool truncated; /* a warning said that the file ends early */
    int code;       /* of the error that ended an_jpeg_guard; its message is this thread's */
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
