/* Error reporting: every fallible function returns an int; the text lives in a thread-local message.
 *
 * 0 is success. Positive values are expected outcomes that callers branch on and carry no message. Negative
 * values are failures; the function that detects one sets the message with an_error() and returns the code.
 * Message style: lower case, no full stop, problem first, subject quoted: "cannot open 'x': no such file". */
#ifndef AN_BASE_ERROR_H
#define AN_BASE_ERROR_H

#include <stddef.h>

enum {
    AN_OK = 0,

    AN_END = 1,     /* no more items: a queue was closed and drained, an epoch or a source is exhausted */
    AN_AGAIN = 2,   /* backpressure: nothing was done, call again after something was consumed or completed */
    AN_STOPPED = 3, /* the user asked to stop (signal); state is consistent and resumable */

    AN_EINVAL = -1,   /* impossible option or argument; programs exit with AN_EXIT_USAGE */
    AN_EIO = -2,      /* the operating system refused or failed */
    AN_ENOMEM = -3,   /* out of memory */
    AN_ECORRUPT = -4, /* data is not what it claims to be: bad magic, checksum, truncated, undecodable */
    AN_ENOTFOUND = -5,
    AN_ENOSPC = -6,       /* disk or map full */
    AN_EUNSUPPORTED = -7, /* sound, but of a kind or version that is not read here; programs exit with AN_EXIT_DATA */
    AN_EINTERNAL = -8     /* a library or an invariant failed in a way that no input explains */
};

/* Exit codes of all programs, documented in every man page. */
enum {
    AN_EXIT_OK = 0,
    AN_EXIT_FAILURE = 1,      /* the operating system or a library failed */
    AN_EXIT_USAGE = 2,        /* wrong options or arguments */
    AN_EXIT_DATA = 3,         /* damaged or unusable data */
    AN_EXIT_INTERRUPTED = 130 /* stopped by SIGINT or SIGTERM; the work so far is kept */
};

#define AN_ERROR_MAX 1024 /* longest message, terminator included; longer ones are cut, between two characters */

/* Set this thread's message and return code. */
int an_error(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same, with ": " and strerror(errnum) appended. Maps ENOSPC/EDQUOT to AN_ENOSPC, ENOMEM to AN_ENOMEM and
 * ENOENT to AN_ENOTFOUND; everything else is AN_EIO. */
int an_error_errno(int errnum, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Put "<text>: " before this thread's message and return code unchanged: adds the subject on the way up. */
int an_error_prefix(int code, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* This thread's last message; "" if none. Valid until the thread's next call into this module. */
const char *an_error_message(void);

/* errno of this thread's last failure, if an_error_errno reported it; else 0. */
int an_error_number(void);

/* A code with its message, to carry a worker's failure to the thread that waits for it. */
typedef struct {
    int code, number;
    char message[AN_ERROR_MAX];
} an_error_state;

void an_error_save(an_error_state *state, int code);
int an_error_restore(const an_error_state *state); /* sets this thread's message, returns state->code */

/* The exit code that a program returns for an error or outcome code. */
int an_error_exit_code(int code);

#endif
