/* CIFAR-10, binary version: files of records of one label byte and 32 x 32 bytes each of red, green and blue. SOURCE is
 * one such file, or the folder that holds data_batch_1.bin to data_batch_5.bin (the training set). */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <xxhash.h>

#include "base/error.h"
#include "base/file.h"
#include "ingest/sources/listing_private.h"
#include "ingest/sources/source_private.h"

#define SIDE 32u
#define PIXELS (3 * SIDE * SIDE)
#define RECORD (1 + PIXELS)
#define FILE_LIMIT ((size_t)1 << 32)

static int add_records(an_listing *listing, const char *path, const an_buffer *bytes, uint32_t file)
{
    const char *slash = strrchr(path, '/');
    int rc = AN_OK;
    for (uint64_t i = 0; i < bytes->size / RECORD && !rc; i++) {
        char name[320], id[8];
        uint32_t label;
        snprintf(id, sizeof(id), "%u", bytes->data[i * RECORD]);
        snprintf(name, sizeof(name), "%.255s/%llu", slash ? slash + 1 : path, (unsigned long long)i);
        rc = an_listing_class(listing, id, &label);
        if (!rc)
            rc = an_listing_add(listing, name, label, file, i * RECORD + 1, PIXELS);
    }
    return rc;
}

typedef struct {
    an_listing *listing;
    uint64_t contents; /* hash of all files */
} batches;

static int add_file(void *context, const char *path, const char *name)
{
    (void)name;
    batches *b = context;
    an_listing *listing = b->listing;
    an_buffer bytes = {0};
    uint32_t file;
    int rc = an_file_read(path, FILE_LIMIT, &bytes);
    if (!rc && (!bytes.size || bytes.size % RECORD))
        rc = an_error(AN_ECORRUPT, "'%s' is damaged or cut short: %zu bytes are not a multiple of %u", path, bytes.size,
                      RECORD);
    if (!rc)
        rc = an_listing_add_file(listing, path, -1, &file);
    if (!rc)
        rc = add_records(listing, path, &bytes, file);
    if (!rc)
        b->contents = XXH3_64bits_withSeed(bytes.data, bytes.size, b->contents);
    an_buffer_free(&bytes);
    return rc;
}

static int is_batch(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return strncmp(entry->d_name, "data_batch_", 11) == 0 && length > 4 &&
           strcmp(entry->d_name + length - 4, ".bin") == 0;
}

static int fill(an_listing *listing, const an_source_options *options)
{
    struct stat status;
    batches b = {.listing = listing};
    an_listing_set_raw(listing, AN_ITEM_PLANAR, SIDE, SIDE);
    if (stat(options->path, &status))
        return an_error_errno(errno, "cannot open '%s'", options->path);
    int rc = S_ISDIR(status.st_mode) ? an_source_each_file(options->path, is_batch, add_file, &b)
                                     : add_file(&b, options->path, "");
    if (!rc) {
        rc = an_listing_resolve_classes(listing, options->classes, true);
        if (rc)
            an_error_prefix(rc, "'%s'", options->path);
    }
    return rc ? rc : an_listing_seal(listing, options, b.contents);
}

static int open_cifar10(an_source **out, const an_source_options *options)
{
    an_listing *listing;
    int rc = an_listing_create(&listing, "cifar10", "");
    if (rc)
        return rc;
    rc = fill(listing, options);
    if (rc)
        an_source_free(an_listing_source(listing));
    else
        *out = an_listing_source(listing);
    return rc;
}

static bool matches(const an_source_probe *found)
{
    if (an_source_holds(found, "data_batch_1.bin"))
        return true;
    return an_source_ends_with(found->path, ".bin") && found->size && found->size % RECORD == 0;
}

const an_source_kind an_source_cifar10 = {
    .name = "cifar10",
    .description = "CIFAR-10's binary version: a .bin file or the folder of them",
    .matches = matches,
    .open = open_cifar10,
};
