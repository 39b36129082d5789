/* One header of a tar, as the walk of a file and the reading of a stream both give it. */
#ifndef AN_INGEST_SOURCES_ARCHIVE_TAR_ENTRY_PRIVATE_H
#define AN_INGEST_SOURCES_ARCHIVE_TAR_ENTRY_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

struct archive;
struct archive_entry;

typedef enum {
    AN_TAR_FILE, /* a regular file with its bytes */
    AN_TAR_FOLDER,
    AN_TAR_HARD_LINK, /* to the member called target */
    AN_TAR_SYMBOLIC_LINK,
    AN_TAR_SPARSE, /* a regular file that is stored in pieces */
    AN_TAR_SPECIAL /* a device, a named pipe ... */
} an_tar_kind;

/* Why a member of such a kind cannot be read. */
#define AN_TAR_SPARSE_REFUSED "stored as a sparse file: pack it without --sparse"
#define AN_TAR_SPECIAL_REFUSED "no regular file"

typedef struct {
    an_tar_kind kind;
    const char *name, *target; /* as they stand in the tar; target: of links, else NULL */
    uint64_t offset, size;     /* offset: of the file's first byte, only where the tar lies in a file */
} an_tar_entry;

/* Fill out, but for offset, from a header that libarchive read. The texts live as long as entry's do. AN_ECORRUPT if it
 * has no name or an impossible size. */
int an_tar_entry_take(an_tar_entry *out, struct archive_entry *entry);

/* Prepare a new reader: the tar format, an empty file, and tars that were joined with cat, which have an end mark
 * between their members. */
void an_tar_entry_formats(struct archive *tar);

/* Go to the next header. AN_END after the last; then *unended says whether the mark is missing that ends every complete
 * tar. AN_ECORRUPT if the tar is damaged or cut short; the message is libarchive's. */
int an_tar_entry_next(struct archive *tar, struct archive_entry **entry, bool *unended);

#endif
