/* Finds the files inside an uncompressed tar by reading its headers and skipping the contents. */
#ifndef AN_INGEST_SOURCES_ARCHIVE_TAR_WALK_PRIVATE_H
#define AN_INGEST_SOURCES_ARCHIVE_TAR_WALK_PRIVATE_H

#include <stdint.h>

/* Called for each file; offset is where its first byte lies in the tar's own file. A non-zero return ends the walk and
 * is returned. */
typedef int (*an_tar_visit)(void *context, const char *name, uint64_t offset, uint64_t size);

/* Visit every regular file of the tar that occupies size bytes from offset in the open file fd; path is for messages.
 * GNU and pax long names are understood. AN_ECORRUPT if the tar is damaged or cut short. */
int an_tar_walk(int fd, const char *path, uint64_t offset, uint64_t size, an_tar_visit visit, void *context);

#endif
