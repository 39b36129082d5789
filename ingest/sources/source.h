/* Where images come from: one iterator over items, one file per kind of source.
 *
 * A source says what it holds (classes, number of items if known, an identity that does not depend on where it lies)
 * and then gives items in a fixed order, from one thread. Most kinds only list: an item names a place, and the worker
 * that decodes it reads the bytes. */
#ifndef AN_INGEST_SOURCES_SOURCE_H
#define AN_INGEST_SOURCES_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "ingest/sources/labels/classes.h"
#include "store/record.h"

typedef enum {
    AN_ITEM_FILE,   /* an encoded image of any format */
    AN_ITEM_GREY,   /* width x height bytes */
    AN_ITEM_PLANAR, /* width x height bytes of red, then green, then blue */
    AN_ITEM_RECORD  /* a record of another dataset */
} an_item_kind;

typedef struct {
    an_buffer name; /* path in the source, terminated */
    uint32_t label;
    an_item_kind kind;
    uint32_t width, height; /* GREY and PLANAR */
    uint64_t size;          /* bytes, as the source says */

    /* Where the bytes are. */
    an_buffer path; /* a file, whole or from offset; empty: already in bytes */
    bool whole;     /* the whole file at path, whatever its size turns out to be */
    int fd;         /* an open file instead of path, or -1 */
    uint64_t offset;
    an_buffer bytes;
    an_record record; /* RECORD: valid until the source is freed; there is nothing to load */
} an_item;

typedef struct an_source an_source;

typedef struct {
    int (*next)(an_source *source, an_item *item);  /* AN_END after the last */
    int (*skip)(an_source *source, uint64_t items); /* AN_ECORRUPT if there are not so many; NULL without an identity */
    void (*free)(an_source *source);                /* all but classes */
} an_source_operations;

struct an_source {
    const an_source_operations *operations;
    const char *kind; /* "folder", "idx" ... */
    an_classes classes;
    uint64_t items, bytes; /* 0: unknown */
    uint64_t identity;     /* of names, labels and sizes; 0: unknown */
};

typedef struct {
    const char *path;
    const char *kind;             /* a kind's name, or NULL: found out */
    const an_classes *classes;    /* given labels (--classes-from), or NULL: the source's own */
    const char *labels;           /* a labels file, where the kind uses one, or NULL */
    const char *synsets, *devkit; /* of ImageNet: see truth.h; or NULL */
    bool shuffle;
    uint64_t seed;
} an_source_options;

/* The kinds, for help texts and tests. Names are what --kind takes; a description is one line. */
size_t an_source_kind_count(void);
const char *an_source_kind_name(size_t i);
const char *an_source_kind_description(size_t i);

/* The caller frees. */
int an_source_open(an_source **out, const an_source_options *options);
void an_source_free(an_source *source); /* NULL is fine */

/* item is the caller's and reused; an_item_free when done. */
int an_source_next(an_source *source, an_item *item);
int an_source_skip(an_source *source, uint64_t items);

/* Put the item's bytes into out (its old contents are dropped). Any thread. limit: largest file accepted.
 * AN_ENOTFOUND, AN_ECORRUPT, AN_EUNSUPPORTED: this item is unusable; the message says why, without its name or path.
 * Other codes (AN_EIO for a bad disk, too many open files, a refused permission ...): the system failed, and trying
 * again later may succeed. */
int an_item_load(const an_item *item, size_t limit, an_buffer *out);
void an_item_free(an_item *item);

#endif
