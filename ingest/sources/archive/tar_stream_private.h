/* A tar that can be read only once, front to back (standard input), with the tars inside it. One thread. */
#ifndef AN_INGEST_SOURCES_ARCHIVE_TAR_STREAM_PRIVATE_H
#define AN_INGEST_SOURCES_ARCHIVE_TAR_STREAM_PRIVATE_H

#include <stdint.h>

#include "base/buffer.h"

typedef struct an_tar_stream an_tar_stream;

/* fd stays the caller's. AN_ECORRUPT if it gives no tar. */
int an_tar_stream_open(an_tar_stream **out, int fd);
void an_tar_stream_free(an_tar_stream *stream); /* NULL is fine */

/* The next visible regular file; the members of a tar inside the tar come in its place. *name is valid until the next
 * call. AN_END after the last; AN_ECORRUPT if the tar is damaged or cut short. */
int an_tar_stream_next(an_tar_stream *stream, const char **name, int64_t *size);

/* Name of the inner tar, without ".tar", that the member given last lies in; NULL if it lies in the outer one. */
const char *an_tar_stream_inner(const an_tar_stream *stream);

/* Read the member that was given last; name and size as given. The bytes replace what out holds, a terminator is added
 * and not counted. */
int an_tar_stream_read(an_tar_stream *stream, const char *name, int64_t size, an_buffer *out);

#endif
