/* A source whose items are all known before the first is read: a list of files and ranges of files. Every kind of
 * source that can seek fills one of these and leaves the rest to it: identity, order, skipping. It keeps about 32 bytes
 * and the name for each item. */
#ifndef AN_INGEST_SOURCES_LISTING_PRIVATE_H
#define AN_INGEST_SOURCES_LISTING_PRIVATE_H

#include "ingest/sources/source.h"

#define AN_LISTING_OWN_FILE UINT32_MAX /* the item is the whole file root/name */

typedef struct an_listing an_listing;

/* root: the folder that names are relative to. */
int an_listing_create(an_listing **out, const char *kind, const char *root);
an_source *an_listing_source(an_listing *listing); /* the same object as a source; an_source_free frees it */

/* Say that every item is raw pixels of this size, not an encoded file. */
void an_listing_set_raw(an_listing *listing, an_item_kind kind, uint32_t width, uint32_t height);

/* Add a file that holds several items; *file is its number for an_listing_add. fd: the open file, which the listing
 * then owns; or -1: path is opened for each item. */
int an_listing_add_file(an_listing *listing, const char *path, int fd, uint32_t *file);

int an_listing_add(an_listing *listing, const char *name, uint32_t label, uint32_t file, uint64_t offset,
                   uint64_t size);
/* Add an item that cannot be used, and why. It has no label. */
int an_listing_refuse(an_listing *listing, const char *name, uint64_t size, const char *reason);
const char *an_listing_file(const an_listing *listing, uint32_t file); /* path of a file added before */

/* *label: a preliminary label for the class; a new class is added. an_listing_resolve_classes makes the final ones. */
int an_listing_class(an_listing *listing, const char *id, uint32_t *label);

/* The same for a class that is named in a line of a text file, which messages will name. */
int an_listing_class_at(an_listing *listing, const char *id, uint32_t line, uint32_t *label);

/* Replace the preliminary classes by the final ones, as an_classes_resolve says, and relabel all items. */
int an_listing_resolve_classes(an_listing *listing, const an_classes *given, bool numbers);

/* Call when everything is added: computes identity and totals, notes classes without an image, and shuffles if options
 * say so. contents: a hash that becomes part of the identity, 0 for none. */
int an_listing_seal(an_listing *listing, const an_source_options *options, uint64_t contents);

#endif
