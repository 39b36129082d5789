/* Where images come from. Each kind of source (folder, tar, list ...) is one row of the table in source.c.
 *
 * A source is an iterator over items. It says what it holds: classes, number of items, and an identity, a hash that is
 * the same wherever the source lies. Then it gives its items in a fixed order. One thread uses a source. Items may be
 * handed to other threads: most hold no bytes, only the place to read them from, and the thread that decodes an item
 * loads it. */
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
    an_buffer name; /* path within the source, with a terminating 0 */
    uint32_t label;
    an_item_kind kind;
    uint32_t width, height; /* GREY and PLANAR */
    uint64_t size;          /* bytes, as known before loading */

    /* Where the bytes are: at path, or already in bytes. */
    an_buffer path; /* of the file to read; empty if there is none */
    bool whole;     /* read all of that file; otherwise size bytes from offset */
    int fd;         /* that file, already open; -1: it has to be opened */
    uint64_t offset;
    an_buffer bytes;
    an_buffer refusal; /* not empty: the source knows that the item is unusable, and this is the reason */
    an_record record;  /* RECORD: points into the source and lives as long as it does */
} an_item;

typedef struct an_source an_source;

typedef struct {
    int (*next)(an_source *source, an_item *item);  /* AN_END after the last */
    int (*skip)(an_source *source, uint64_t items); /* AN_ECORRUPT if fewer are left; NULL if not supported */
    void (*free)(an_source *source);                /* everything but classes, which an_source_free frees */

    /* Of sources that are listed before they are read, and NULL in others. input: the name of item i, counted in the
     * order of next, and its size. identity_with: what identity and bytes would be if the items had these sizes. */
    const char *(*input)(const an_source *source, uint64_t i, uint64_t *size);
    int (*identity_with)(const an_source *source, const uint64_t *sizes, uint64_t *identity, uint64_t *bytes);
} an_source_operations;

struct an_source {
    const an_source_operations *operations;
    const char *kind; /* "folder", "idx" ... */
    an_classes classes;
    uint64_t items, bytes; /* 0: unknown */
    uint64_t identity;     /* hash of names, labels and sizes; 0: unknown */

    /* Lines for the user about what the source leaves out without listing it, and about what is odd: classes without an
     * image, a tar without its end. Complete when the source is open; of a stream, at its end. */
    an_buffer notes;
};

typedef struct {
    const char *path;
    const char *kind;             /* name of a kind, or NULL: look at path to find it */
    const an_classes *classes;    /* the classes to use (--classes-from), or NULL: the source's own */
    const char *labels;           /* path of a labels file, for the kinds that use one, or NULL */
    const char *synsets, *devkit; /* paths, see labels/truth_private.h; or NULL */
    bool shuffle;
    uint64_t seed;
    bool (*stopped)(void); /* asked while a stream waits; once it is true the stream fails. NULL: it waits for ever */
} an_source_options;

/* The largest image file that is read: an uncompressed one of AN_PICTURE_PIXELS_MAX pixels is smaller. */
#define AN_ITEM_BYTES_MAX ((size_t)256 << 20)

/* The kinds, for help texts and tests. Names are what --kind takes; a description is one line. */
size_t an_source_kind_count(void);
const char *an_source_kind_name(size_t i);
const char *an_source_kind_description(size_t i);

/* The caller frees. */
int an_source_open(an_source **out, const an_source_options *options);
void an_source_free(an_source *source); /* NULL is fine */

/* Note if listed, the classes of the file at path, has them in another order than their labels: that of the labels
 * which they had where a folder was exported, for example. */
int an_source_note_class_order(an_source *source, const an_classes *listed, const char *path);

/* Fill item with the next one. The caller owns item, reuses it for every call and frees it with an_item_free at the
 * end. AN_END after the last. */
int an_source_next(an_source *source, an_item *item);
int an_source_skip(an_source *source, uint64_t items);

/* Put the item's bytes into out (its old contents are dropped). Any thread. limit: largest file accepted.
 * AN_ENOTFOUND, AN_ECORRUPT, AN_EUNSUPPORTED: this item is unusable; the message says why, without its name or path.
 * Other codes (AN_EIO for a bad disk, too many open files, a refused permission ...): the system failed, and trying
 * again later may succeed. */
int an_item_load(const an_item *item, size_t limit, an_buffer *out);
void an_item_free(an_item *item);

#endif
