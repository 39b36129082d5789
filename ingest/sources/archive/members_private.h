/* The members of one or several tars, with the members of the tars inside them, as one tree of paths. */
#ifndef AN_INGEST_SOURCES_ARCHIVE_MEMBERS_PRIVATE_H
#define AN_INGEST_SOURCES_ARCHIVE_MEMBERS_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "ingest/sources/archive/place.h"

typedef enum {
    AN_MEMBER_FILE,
    AN_MEMBER_FOLDER, /* its path ends with "/" */
    AN_MEMBER_HARD_LINK,
    AN_MEMBER_SYMBOLIC_LINK,
    AN_MEMBER_REFUSED /* cannot be read; text says why */
} an_member_kind;

typedef struct {
    uint64_t path, text;          /* positions in texts. text: what a link points to, or the reason */
    uint64_t offset, size;        /* bytes, in the tar's file */
    uint32_t container, boundary; /* boundary: length of the path of the tar that it lies in, 0 for the outermost */
    an_member_kind kind;
    bool left_out; /* never an item, but a link may point to it */
} an_member;

typedef struct {
    an_member *entries;
    uint64_t count, capacity;
    an_buffer texts;
    an_place_left_out left;
    uint64_t unended; /* tars without the mark at their end */
    char first_unended[256];
    /* While a tar is being walked: */
    int depth; /* 1 within a tar inside the tar, else 0 */
    an_buffer prefix, path;
    uint32_t container;
    int fd;
    const char *file;
} an_members; /* zeros to begin with */

/* Add all members of the tar in the file. prefix stands before their paths; a tar inside the tar adds its own path,
 * without ".tar". container: a number for the file, kept in the entries. */
int an_members_add(an_members *members, const char *file, uint32_t container, const char *prefix);
void an_members_free(an_members *members);

/* After the last tar: leave out the folders that hold a dataset, put what they point to in the place of links
 * (links.c), and refuse what cannot be read. */
int an_members_finish(an_members *members);

/* Why the later of two members with one path is refused. */
#define AN_MEMBERS_REPEATED "its path came before in the tar: the first file of that path is taken"

/* Refuse each file whose path came before. */
int an_members_refuse_repeated(an_members *members);

/* Set base to the folder that holds the class folders: the one that all members lie in, as long as there are
 * files in folders in it and it is no tar. */
int an_members_base(const an_members *members, an_buffer *base);

const char *an_members_path(const an_members *members, uint64_t i);
const char *an_members_text(const an_members *members, uint64_t i);

/* For members.c and links.c: append a member, with the text that entry has if text is NULL; change one into a refused
 * one, with a reason. path and text do not lie in members->texts. */
int an_members_append(an_members *members, const char *path, const char *text, an_member entry);
int an_members_refuse(an_members *members, uint64_t i, const char *format, ...) __attribute__((format(printf, 3, 4)));

/* Resolves the links among the members; in links.c. */
int an_members_resolve_links(an_members *members);

#endif
