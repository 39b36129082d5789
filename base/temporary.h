/* Temporary files without a name: gone when closed, whatever happens. In TMPDIR, else /tmp. */
#ifndef AN_BASE_TEMPORARY_H
#define AN_BASE_TEMPORARY_H

#include <stddef.h>

int an_temporary_open(int *fd);

/* Append all bytes. */
int an_temporary_write(int fd, const void *data, size_t size);

#endif
