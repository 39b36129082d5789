/* Files: read whole, and write so that a name only ever holds a complete, synced file. */
#ifndef AN_BASE_FILE_H
#define AN_BASE_FILE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"

/* Open a regular file for reading. What a user names may be anything, and opening a named pipe would wait for a writer:
 * whatever is no regular file is AN_ECORRUPT at once. The caller closes *fd. */
int an_file_open(int *fd, const char *path);

/* The same, for more than reading: flags as of open(2), such as O_RDONLY | O_DIRECT or O_WRONLY | O_APPEND | O_CREAT.
 */
int an_file_open_as(int *fd, const char *path, int flags);

/* The same for callers with messages of their own. Returns the descriptor, or -1 and sets errno; errno is 0 if path is
 * no regular file, and *kind then says what it is ("a named pipe"). */
int an_file_open_kind(const char *path, int flags, const char **kind);

/* Append the whole file to out. AN_ECORRUPT if it is no regular file or larger than limit bytes. On
 * failure out is unchanged. */
int an_file_read(const char *path, size_t limit, an_buffer *out);

/* Atomic replacement: write to a new file of a random name beside path (base/temporary.h), sync it, rename it to path,
 * sync the folder. A killed process leaves that file. If path is a symbolic link to a file, that file is replaced and
 * the link stays, unless the link is another user's in a folder that others may write (base/temporary.h), which is
 * AN_EINVAL; a link that leads nowhere is itself replaced. A device or a pipe (/dev/stdout) is written in place.
 * AN_EINVAL for a folder. */
typedef struct an_file_writer an_file_writer;
int an_file_writer_open(an_file_writer **out, const char *path);
int an_file_writer_write(an_file_writer *writer, const void *data, size_t size);
/* Sync and rename. The writer is freed either way. On failure path still holds what it held before, with two
 * exceptions: a device or a pipe has what was written so far, and if syncing the folder fails, path already names the
 * new file but may name the old one again after a power failure. */
int an_file_writer_commit(an_file_writer *writer);
void an_file_writer_abort(an_file_writer *writer); /* NULL is fine */

/* Opens a writer, writes everything and commits it. */
int an_file_write_atomic(const char *path, const void *data, size_t size);

/* For names that a program chooses itself. AN_ECORRUPT unless path is a regular file, leads to one, or can become one:
 * a named pipe would be written in place, and opening it would wait for a reader. */
int an_file_check_name(const char *path);

/* Each checks the name, then writes atomically. from is a regular file. */
int an_file_replace(const char *path, const void *data, size_t size);
int an_file_copy(const char *from, const char *to);

/* Read exactly size bytes at offset, with as many calls of pread as it takes. AN_ECORRUPT if the file ends before. name
 * is what messages call the file. */
int an_file_pread(int fd, void *data, size_t size, uint64_t offset, const char *name);

int an_file_sync_folder(const char *path); /* fsync the folder path itself */
int an_file_make_folder(const char *path); /* mkdir -p */

#endif
