/* Files: read whole, and write so that a name only ever holds a complete, synced file. */
#ifndef AN_BASE_FILE_H
#define AN_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/* Append the file's bytes to out; AN_ECORRUPT if larger than limit. On failure out holds what it held. */
int an_file_read(const char *path, size_t limit, an_buffer *out);

/* Atomic replacement: write to "<path>.tmp-<pid>", sync, rename, sync the folder. A symbolic link keeps, and the file
 * it leads to is replaced; a device or a pipe (/dev/stdout) is written in place. AN_EINVAL for a folder. */
typedef struct an_file_writer an_file_writer;
int an_file_writer_open(an_file_writer **out, const char *path);
int an_file_writer_write(an_file_writer *writer, const void *data, size_t size);
/* Sync and rename. The writer is freed either way; on failure nothing appears under path. */
int an_file_writer_commit(an_file_writer *writer);
void an_file_writer_abort(an_file_writer *writer); /* NULL is fine */

int an_file_copy(const char *from, const char *to); /* the same way */
int an_file_write_atomic(const char *path, const void *data, size_t size);

/* pread until all is there; EINTR retried; a short read is AN_ECORRUPT. name is for messages. */
int an_file_pread(int fd, void *data, size_t size, uint64_t offset, const char *name);

int an_file_sync_folder(const char *path); /* fsync the folder path itself */
int an_file_make_folder(const char *path); /* mkdir -p */

#endif
