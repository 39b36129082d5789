/* A source whose items are all known before the first is read: a list of places (files, or ranges of files) that can be
 * visited in any order. Every seekable kind of source fills one of these and leaves the rest to it: identity, order,
 * skipping. About 32 bytes and the name are kept for each item. */
#ifndef AN_INGEST_SOURCES_LISTING_PRIVATE_H
#define AN_INGEST_SOURCES_LISTING_PRIVATE_H

#include "ingest/sources/source.h"

#define AN_LISTING_OWN_FILE UINT32_MAX /* the item is the whole file root/name */

typedef struct an_listing an_listing;

/* root: what names are relative to. */
int an_listing_create(an_listing **out, const char *kind, const char *root);
an_source *an_listing_source(an_listing *listing); /* the same object, seen as a source; an_source_free frees it */

/* Every item is raw pixels of this shape instead of an encoded file. */
void an_listing_set_raw(an_listing *listing, an_item_kind kind, uint32_t width, uint32_t height);

/* A file that holds several items. fd: taken over and closed with the listing, or -1 to open path for each item. */
int an_listing_add_file(an_listing *listing, const char *path, int fd, uint32_t *file);

int an_listing_add(an_listing *listing, const char *name, uint32_t label, uint32_t file, uint64_t offset,
                   uint64_t size);
const char *an_listing_file(const an_listing *listing, uint32_t file); /* its path */

/* The label of the class id while filling; a new class is added. Final labels come from an_listing_resolve_classes. */
int an_listing_class(an_listing *listing, const char *id, uint32_t *label);

/* The classes were collected as they were met: replace them by the final ones and relabel all items. These are the
 * given classes (an id that is not among them is an error), or the sorted ids. numbers: ids may also be plain label
 * numbers: of a given class, or, if all ids are numbers, classes 0 to the highest. */
int an_listing_resolve_classes(an_listing *listing, const an_classes *given, bool numbers);

/* All is added: compute identity and totals, shuffle if asked. contents: something more to identify (0 for nothing). */
int an_listing_seal(an_listing *listing, const an_source_options *options, uint64_t contents);

#endif
