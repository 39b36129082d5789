/* Temporary files without a name, in TMPDIR or else /tmp. Such a file vanishes when it is closed, also if the process
 * is killed. The caller closes fd. Failures come as an_error_errno maps them. */
#ifndef AN_BASE_TEMPORARY_H
#define AN_BASE_TEMPORARY_H

#include <stddef.h>

int an_temporary_open(int *fd);

/* Write all bytes at the file's position. */
int an_temporary_write(int fd, const void *data, size_t size);

#endif
