/* The list of files inside one or several tars. */
#ifndef AN_INGEST_SOURCES_ARCHIVE_MEMBERS_PRIVATE_H
#define AN_INGEST_SOURCES_ARCHIVE_MEMBERS_PRIVATE_H

#include <stdint.h>

#include "base/buffer.h"

#define AN_MEMBER_NO_CLASS UINT64_MAX

typedef struct {
    uint64_t name, class_id; /* positions in texts; class_id may be AN_MEMBER_NO_CLASS */
    uint64_t offset, size;   /* bytes, in the tar's file */
    uint32_t container;
} an_member;

typedef struct {
    an_member *entries;
    uint64_t count, capacity;
    an_buffer texts;
    int depth; /* 1 while walking a tar inside the tar, else 0 */
    uint64_t prefix, inner_class;
    uint32_t container;
    int fd;
    const char *path;
} an_members;

/* Add all files of the tar at path. The class of a file is prefix, unless that is ""; else the name of the tar inside
 * the tar that it lies in; else its innermost folder; else it has none. prefix also stands before the names. container:
 * a number for the tar, kept in its entries. */
int an_members_add(an_members *members, const char *path, uint32_t container, const char *prefix);
void an_members_free(an_members *members);

const char *an_members_text(const an_members *members, uint64_t position);

#endif
