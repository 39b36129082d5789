/* What all of liban shares: status codes, messages, versions.
 *
 * liban reads and writes datasets and loads batches of images from them. It never prints, never ends the process and
 * installs no signal handlers.
 *
 * Status. Functions that can fail return an int. 0 is success; positive codes are outcomes that callers expect;
 * negative codes are failures with a message. A message belongs to the thread that got the code.
 *
 * Option structs begin with a version. Fill them with their initialiser, then change what you want:
 *
 *     liban_loader_options options = LIBAN_LOADER_OPTIONS_INIT;
 *     options.batch = 256;
 *
 * Members are only ever added, at the end and with a new version, so a program that was compiled against an older
 * header keeps its meaning with a newer library. A library that is older than the header refuses the struct. Structs
 * that the library fills stay as they are, but for liban_batch, which the library makes: it may grow at its end.
 *
 * Processes. What was opened belongs to the process that opened it. In a child that fork made, every function that
 * returns a status returns LIBAN_EFORKED for it; those that free, close, interrupt or resume do nothing; counters are
 * 0. What stands in an open dataset may be read on. */
#ifndef LIBAN_COMMON_H
#define LIBAN_COMMON_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define LIBAN_API __attribute__((visibility("default")))

#define LIBAN_VERSION_MAJOR 0
#define LIBAN_VERSION_MINOR 1
#define LIBAN_VERSION_PATCH 0

enum {
    LIBAN_OK = 0,

    LIBAN_END = 1,         /* an epoch is over */
    LIBAN_AGAIN = 2,       /* the time was over before something happened; nothing is lost */
    LIBAN_INTERRUPTED = 3, /* liban_loader_interrupt, or the loader was closed */

    LIBAN_EINVAL = -1,       /* an impossible option or argument; the message names it */
    LIBAN_EIO = -2,          /* the operating system refused or failed; the message names the path */
    LIBAN_ENOMEM = -3,       /* out of memory */
    LIBAN_ECORRUPT = -4,     /* data is damaged; the message names the dataset and the record */
    LIBAN_ENOTFOUND = -5,    /* no such file, class or record */
    LIBAN_ENOSPC = -6,       /* the disk is full */
    LIBAN_EUNSUPPORTED = -7, /* sound, but of a kind or version that this library or machine does not have */
    LIBAN_EINTERNAL = -8,    /* a library failed in a way that no input explains */
    LIBAN_EFORKED = -9       /* opened by another process, of which this one is a fork */
};

/* This thread's last message: lower case, one line, without a full stop; "" if there was none. Valid until the thread's
 * next call of liban. */
LIBAN_API const char *liban_error_message(void);

/* errno of this thread's last failure, where the operating system gave one; else 0. */
LIBAN_API int liban_error_number(void);

LIBAN_API const char *liban_version(void); /* of the library that runs: "0.1.0" */

#ifdef __cplusplus
}
#endif

#endif
