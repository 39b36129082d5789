/* Finds the members of an uncompressed tar by reading its headers and skipping the contents. */
#ifndef AN_INGEST_SOURCES_ARCHIVE_TAR_WALK_PRIVATE_H
#define AN_INGEST_SOURCES_ARCHIVE_TAR_WALK_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "ingest/sources/archive/tar_entry_private.h"

/* Called for each member. A non-zero return ends the walk and is returned. */
typedef int (*an_tar_visit)(void *context, const an_tar_entry *entry);

/* Visit every member of the tar that occupies size bytes from offset in the open file fd; path is for messages. GNU and
 * pax long names are understood. *unended: the mark at the end of the tar is missing, it may be cut short. AN_ECORRUPT
 * if it is damaged, or cut short within a member. */
int an_tar_walk(int fd, const char *path, uint64_t offset, uint64_t size, an_tar_visit visit, void *context,
                bool *unended);

#endif
