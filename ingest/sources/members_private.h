/* The files inside one or several tars: what tar sources are made of. */
#ifndef AN_INGEST_SOURCES_MEMBERS_PRIVATE_H
#define AN_INGEST_SOURCES_MEMBERS_PRIVATE_H

#include <stdint.h>

#include "base/buffer.h"

#define AN_MEMBER_NO_CLASS UINT64_MAX

typedef struct {
    uint64_t name, class_id; /* positions in texts; class_id: the inner tar's or the folder's name, or NO_CLASS */
    uint64_t offset, size;   /* in the container */
    uint32_t container;
} an_member;

typedef struct {
    an_member *entries;
    uint64_t count, capacity;
    an_buffer texts;
    int depth; /* of tars inside tars, while walking */
    uint64_t prefix, inner_class;
    uint32_t container;
    int fd;
    const char *path;
} an_members;

/* Add all files of the tar at path; those of tars inside it belong to a class of that tar's name, those in folders to a
 * class of the innermost folder's name. container: what entries get as such. prefix: stands before names and is the
 * class of everything; "" for nothing. */
int an_members_add(an_members *members, const char *path, uint32_t container, const char *prefix);
void an_members_free(an_members *members);

const char *an_members_text(const an_members *members, uint64_t position);

#endif
