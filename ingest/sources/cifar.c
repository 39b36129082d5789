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

static int add_file(an_listing *listing, const char *path, uint64_t *contents)
{
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
        *contents = XXH3_64bits_withSeed(bytes.data, bytes.size, *contents);
    an_buffer_free(&bytes);
    return rc;
}

static int is_batch(const struct dirent *entry)
{
    size_t length = strlen(entry->d_name);
    return strncmp(entry->d_name, "data_batch_", 11) == 0 && length > 4 &&
           strcmp(entry->d_name + length - 4, ".bin") == 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int add_folder(an_listing *listing, const char *folder, uint64_t *contents)
{
    struct dirent **found = NULL;
    an_buffer path = {0};
    int rc = AN_OK, count = scandir(folder, &found, is_batch, by_name);
    if (count < 0)
        return an_error_errno(errno, "cannot read folder '%s'", folder);
    for (int i = 0; i < count; i++) {
        path.size = 0;
        if (!rc)
            rc = an_buffer_printf(&path, "%s/%s", folder, found[i]->d_name);
        if (!rc)
            rc = add_file(listing, (char *)path.data, contents);
        free(found[i]);
    }
    free(found);
    an_buffer_free(&path);
    return rc;
}

static int fill(an_listing *listing, const an_source_options *options)
{
    struct stat status;
    uint64_t contents = 0;
    an_listing_set_raw(listing, AN_ITEM_PLANAR, SIDE, SIDE);
    if (stat(options->path, &status))
        return an_error_errno(errno, "cannot open '%s'", options->path);
    int rc = S_ISDIR(status.st_mode) ? add_folder(listing, options->path, &contents)
                                     : add_file(listing, options->path, &contents);
    if (!rc) {
        rc = an_listing_resolve_classes(listing, options->classes, true);
        if (rc)
            an_error_prefix(rc, "'%s'", options->path);
    }
    return rc ? rc : an_listing_seal(listing, options, contents);
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
