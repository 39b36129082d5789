#include "ingest/sources/listing_private.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/error.h"
#include "base/rng.h"
#include "ingest/sources/archive/note.h"
#include "ingest/sources/source_private.h"

typedef struct {
    uint64_t offset, size, name;
    uint32_t label, file;
} entry;

/* In place of a file: the item is refused, and offset is the position of the reason in names. */
#define REFUSED (AN_LISTING_OWN_FILE - 1)

typedef struct {
    char *path;
    int fd;
} container;

struct an_listing {
    an_source source; /* must be first: pointers to the two are cast into each other */
    char *root;
    entry *entries;
    uint64_t count, capacity, next;
    an_buffer names;
    container *files;
    uint32_t file_count;
    an_item_kind kind;
    uint32_t width, height;
    uint64_t contents; /* as given to an_listing_seal */
    uint32_t gaps;     /* classes that note_gaps told of */
};

static void listing_free(an_source *source)
{
    an_listing *listing = (an_listing *)source;
    for (uint32_t i = 0; i < listing->file_count; i++) {
        free(listing->files[i].path);
        if (listing->files[i].fd >= 0)
            close(listing->files[i].fd);
    }
    free(listing->files);
    free(listing->entries);
    free(listing->root);
    an_buffer_free(&listing->names);
    free(listing);
}

static int set_text(an_buffer *buffer, const char *text)
{
    buffer->size = 0;
    return an_buffer_printf(buffer, "%s", text);
}

static int place(const an_listing *listing, const entry *from, an_item *item)
{
    item->offset = from->offset;
    item->whole = from->file == AN_LISTING_OWN_FILE;
    item->fd = -1;
    item->path.size = item->refusal.size = 0;
    if (from->file == REFUSED)
        return set_text(&item->refusal, (const char *)listing->names.data + from->offset);
    if (item->whole && item->name.data[0] == '/')
        return set_text(&item->path, (const char *)item->name.data);
    if (item->whole)
        return an_buffer_printf(&item->path, "%s/%s", listing->root, (const char *)item->name.data);
    item->fd = listing->files[from->file].fd;
    return set_text(&item->path, listing->files[from->file].path);
}

static int listing_next(an_source *source, an_item *item)
{
    an_listing *listing = (an_listing *)source;
    if (listing->next == listing->count)
        return AN_END;
    const entry *from = &listing->entries[listing->next++];
    item->label = from->label;
    item->size = from->size;
    item->kind = listing->kind;
    item->width = listing->width;
    item->height = listing->height;
    int rc = set_text(&item->name, (const char *)listing->names.data + from->name);
    return rc ? rc : place(listing, from, item);
}

static int listing_skip(an_source *source, uint64_t items)
{
    an_listing *listing = (an_listing *)source;
    if (items > listing->count - listing->next)
        return an_error(AN_ECORRUPT, "the source has only %llu items, but %llu were read from it before",
                        (unsigned long long)listing->count, (unsigned long long)items);
    listing->next += items;
    return AN_OK;
}

static uint64_t identify(const an_listing *listing, const entry *entries)
{
    uint64_t hash = listing->contents; /* each hash is the seed of the next one */
    for (uint64_t i = 0; i < listing->count; i++) {
        const entry *one = &entries[i];
        const char *name = (const char *)listing->names.data + one->name;
        hash = XXH3_64bits_withSeed(name, strlen(name) + 1, hash);
        hash = XXH3_64bits_withSeed(&(uint64_t[2]){one->label, one->size}, 2 * sizeof(uint64_t), hash);
    }
    return hash;
}

/* Names were appended one after another: their positions tell the order in which the entries came, before the shuffle.
 */
static int by_arrival(const void *a, const void *b)
{
    const entry *x = a, *y = b;
    return (x->name > y->name) - (x->name < y->name);
}

static int listing_identity_with(const an_source *source, const uint64_t *sizes, uint64_t *identity, uint64_t *bytes)
{
    const an_listing *listing = (const an_listing *)source;
    entry *entries = malloc((listing->count + 1) * sizeof(*entries));
    if (!entries)
        return an_error(AN_ENOMEM, "out of memory for a list of %llu images", (unsigned long long)listing->count);
    memcpy(entries, listing->entries, listing->count * sizeof(*entries));
    *bytes = 0;
    for (uint64_t i = 0; i < listing->count; i++)
        *bytes += entries[i].size = sizes[i];
    qsort(entries, listing->count, sizeof(*entries), by_arrival);
    *identity = identify(listing, entries);
    free(entries);
    return AN_OK;
}

static const char *listing_input(const an_source *source, uint64_t i, uint64_t *size)
{
    const an_listing *listing = (const an_listing *)source;
    *size = listing->entries[i].size;
    return (const char *)listing->names.data + listing->entries[i].name;
}

int an_listing_create(an_listing **out, const char *kind, const char *root)
{
    static const an_source_operations operations = {listing_next, listing_skip, listing_free, listing_input,
                                                    listing_identity_with};
    an_listing *listing = calloc(1, sizeof(*listing));
    if (!listing)
        return an_error(AN_ENOMEM, "out of memory for a list of images");
    listing->source.operations = &operations;
    listing->source.kind = kind;
    listing->root = strdup(root);
    if (!listing->root) {
        free(listing);
        return an_error(AN_ENOMEM, "out of memory for a list of images");
    }
    *out = listing;
    return AN_OK;
}

an_source *an_listing_source(an_listing *listing)
{
    return &listing->source;
}

void an_listing_set_raw(an_listing *listing, an_item_kind kind, uint32_t width, uint32_t height)
{
    listing->kind = kind;
    listing->width = width;
    listing->height = height;
}

int an_listing_add_file(an_listing *listing, const char *path, int fd, uint32_t *file)
{
    container *files = realloc(listing->files, (listing->file_count + 1) * sizeof(*files));
    if (!files)
        return an_error(AN_ENOMEM, "out of memory for a list of files");
    listing->files = files;
    container added = {strdup(path), fd};
    if (!added.path)
        return an_error(AN_ENOMEM, "out of memory for a list of files");
    *file = listing->file_count;
    files[listing->file_count++] = added;
    return AN_OK;
}

static int grow(an_listing *listing)
{
    if (listing->count < listing->capacity)
        return AN_OK;
    uint64_t capacity = listing->capacity ? listing->capacity + listing->capacity / 2 : 1024;
    if (capacity > UINT32_MAX)
        return an_error(AN_EUNSUPPORTED, "more than %u images in one source", UINT32_MAX);
    entry *entries = realloc(listing->entries, capacity * sizeof(*entries));
    if (!entries)
        return an_error(AN_ENOMEM, "out of memory for a list of %llu images", (unsigned long long)capacity);
    listing->entries = entries;
    listing->capacity = capacity;
    return AN_OK;
}

int an_listing_add(an_listing *listing, const char *name, uint32_t label, uint32_t file, uint64_t offset, uint64_t size)
{
    uint64_t at = listing->names.size;
    int rc = grow(listing);
    if (!rc)
        rc = an_buffer_append(&listing->names, name, strlen(name) + 1);
    if (rc)
        return rc;
    listing->entries[listing->count++] = (entry){offset, size, at, label, file};
    return AN_OK;
}

int an_listing_refuse(an_listing *listing, const char *name, uint64_t size, const char *reason)
{
    uint64_t at = listing->names.size;
    int rc = an_buffer_append(&listing->names, reason, strlen(reason) + 1);
    return rc ? rc : an_listing_add(listing, name, 0, REFUSED, at, size);
}

const char *an_listing_file(const an_listing *listing, uint32_t file)
{
    return listing->files[file].path;
}

int an_listing_class(an_listing *listing, const char *id, uint32_t *label)
{
    an_classes *classes = &listing->source.classes;
    if (!an_classes_find(classes, id, label))
        return AN_OK;
    *label = classes->count;
    return an_classes_add(classes, id, NULL);
}

int an_listing_class_at(an_listing *listing, const char *id, uint32_t line, uint32_t *label)
{
    int rc = an_listing_class(listing, id, label);
    if (rc)
        return rc;
    an_class_entry *met = &listing->source.classes.entries[*label];
    met->line = met->line ? met->line : line;
    return AN_OK;
}

/* Labels that are numbers make a class of each number up to the highest: say so if some do not occur. */
static int note_gaps(an_listing *listing, const uint32_t *map, uint32_t met)
{
    uint32_t lowest = UINT32_MAX, occur = 0, count = listing->source.classes.count;
    uint8_t *seen = calloc(count + 1, 1);
    if (!seen)
        return an_error(AN_ENOMEM, "out of memory for classes");
    for (uint32_t i = 0; i < met; i++) {
        lowest = map[i] < lowest ? map[i] : lowest;
        occur += !seen[map[i]];
        seen[map[i]] = 1;
    }
    free(seen);
    listing->gaps = count - occur;
    if (!listing->gaps)
        return AN_OK;
    return an_note(&listing->source.notes,
                   "labels are the numbers from %u to %u, of which %u occur: %u classes are made; to have %u, give "
                   "--classes-from FILE with the numbers that occur, one a line",
                   lowest, count - 1, occur, count, occur);
}

int an_listing_resolve_classes(an_listing *listing, const an_classes *given, bool numbers)
{
    uint32_t met = listing->source.classes.count, *map = malloc((met + 1) * sizeof(*map));
    if (!map)
        return an_error(AN_ENOMEM, "out of memory for classes");
    int rc = an_classes_resolve(&listing->source.classes, given, numbers, map);
    if (!rc && numbers && !given)
        rc = note_gaps(listing, map, met);
    for (uint64_t i = 0; i < listing->count && !rc; i++)
        if (listing->entries[i].file != REFUSED)
            listing->entries[i].label = map[listing->entries[i].label];
    free(map);
    return rc;
}

static int shuffle(an_listing *listing, uint64_t seed)
{
    int rc = an_source_check_shuffle(listing->count);
    if (rc)
        return rc;
    an_rng rng = an_rng_make(seed, AN_RNG_INGEST, 0, 0);
    for (uint64_t i = listing->count; i > 1; i--) {
        uint32_t other = an_rng_below(&rng, (uint32_t)i);
        entry swapped = listing->entries[i - 1];
        listing->entries[i - 1] = listing->entries[other];
        listing->entries[other] = swapped;
    }
    return AN_OK;
}

static int note_empty_classes(an_listing *listing)
{
    uint64_t *images = calloc(listing->source.classes.count + 1, sizeof(*images));
    if (!images)
        return an_error(AN_ENOMEM, "out of memory for classes");
    for (uint64_t i = 0; i < listing->count; i++)
        if (listing->entries[i].file != REFUSED)
            images[listing->entries[i].label]++;
    uint32_t empty = 0;
    for (uint32_t i = 0; i < listing->source.classes.count; i++)
        empty += !images[i];
    bool noted = empty == listing->gaps; /* by note_gaps */
    int rc = noted ? AN_OK : an_source_note_empty_classes(&listing->source, images);
    free(images);
    return rc;
}

int an_listing_seal(an_listing *listing, const an_source_options *options, uint64_t contents)
{
    if (!listing->count)
        return an_error(AN_ECORRUPT, "no images in '%s'", options->path);
    listing->source.items = listing->count;
    for (uint64_t i = 0; i < listing->count; i++)
        listing->source.bytes += listing->entries[i].size;
    listing->contents = contents;
    listing->source.identity = identify(listing, listing->entries);
    int rc = note_empty_classes(listing);
    if (rc)
        return rc;
    return options->shuffle ? shuffle(listing, options->seed) : AN_OK;
}
