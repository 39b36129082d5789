/* A tar that can be read only once, front to back (standard input), with the tars inside it. One thread. */
#ifndef AN_INGEST_SOURCES_ARCHIVE_TAR_STREAM_PRIVATE_H
#define AN_INGEST_SOURCES_ARCHIVE_TAR_STREAM_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "ingest/sources/archive/place.h"
#include "ingest/sources/archive/tar_entry_private.h"

typedef struct an_tar_stream an_tar_stream;

/* fd stays the caller's. AN_ECORRUPT if it gives no tar; AN_EIO, here and below, if it cannot be read. stopped: the
 * stream counts as cut short as soon as it says true; NULL if nobody stops it. */
int an_tar_stream_open(an_tar_stream **out, int fd, bool (*stopped)(void));
void an_tar_stream_free(an_tar_stream *stream); /* NULL is fine */

/* The next member that is no folder and not left out; the members of a tar inside the tar come in its place, with its
 * path, without ".tar", before theirs. entry->name is normalised and valid until the next call. *boundary: how many
 * bytes of it are the path of the tar inside the tar; 0 if it lies in none. What is left out is counted in left. AN_END
 * after the last; AN_ECORRUPT if the tar is damaged or cut short. */
int an_tar_stream_next(an_tar_stream *stream, an_tar_entry *entry, size_t *boundary, an_place_left_out *left);

/* Read the member that was given last. The bytes replace what out holds, a terminator is added and not counted. */
int an_tar_stream_read(an_tar_stream *stream, const an_tar_entry *entry, an_buffer *out);

/* After AN_END: is the mark missing that ends every complete tar? */
bool an_tar_stream_unended(const an_tar_stream *stream);

#endif
