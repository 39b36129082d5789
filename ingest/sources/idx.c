/* IDX files of the MNIST family: an images file (count x rows x columns bytes) and a labels file beside it, each
 * plain or compressed with gzip. A compressed images file is unpacked into an unnamed temporary file. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>
#include <zlib.h>

#include "base/error.h"
#include "base/file.h"
#include "base/temporary.h"
#include "ingest/sources/idx_private.h"
#include "ingest/sources/listing_private.h"
#include "ingest/sources/source_private.h"

#define CHUNK ((size_t)1 << 18)
/* gzip makes a thousandth of zeros: a small file can fill a disk. */
#define UNPACKED_MAX ((uint64_t)16 << 30)
/* Each is listed by name, whatever its size. The largest set of this family that is known has 8 million. */
#define IMAGES_MAX 100000000u
#define HEADER_MAX 16

static uint32_t big_endian(const uint8_t *at)
{
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

int an_idx_parse(const uint8_t *data, size_t size, an_idx_header *out)
{
    if (size < 4 || data[0] || data[1])
        return an_error(AN_ECORRUPT, "not an IDX file");
    if (data[2] != 0x08 || data[3] < 1 || data[3] > 3)
        return an_error(AN_EUNSUPPORTED,
                        "IDX of type 0x%02x with %u dimensions: expected bytes (0x08), 1 to 3 dimensions", data[2],
                        data[3]);
    out->dimensions = data[3];
    out->header_size = 4 + 4 * (size_t)out->dimensions;
    if (size < out->header_size)
        return an_error(AN_ECORRUPT, "IDX header cut short");
    out->data_size = 1;
    for (uint32_t d = 0; d < out->dimensions; d++) {
        out->size[d] = big_endian(data + 4 + 4 * d);
        if (__builtin_mul_overflow(out->data_size, out->size[d], &out->data_size) || out->data_size > INT64_MAX)
            return an_error(AN_ECORRUPT, "IDX dimensions are impossibly large");
    }
    return AN_OK;
}

/* How many bytes a compressed file unpacks to, by its header. */
static int promised_size(const char *path, const uint8_t *data, size_t size, uint64_t *out)
{
    an_idx_header header;
    int rc = an_idx_parse(data, size, &header);
    if (rc)
        return an_error_prefix(rc, "'%s'", path);
    *out = header.header_size + header.data_size;
    if (*out > UNPACKED_MAX)
        return an_error(AN_EUNSUPPORTED, "'%s' unpacks to %llu bytes: unpack what is larger than %llu with gunzip",
                        path, (unsigned long long)*out, (unsigned long long)UNPACKED_MAX);
    return AN_OK;
}

/* Read a plain or gzip file to its end. Unless into is -1, write the unpacked bytes to it. *contents: hash of those
 * bytes. */
static int read_through(gzFile file, const char *path, int into, uint64_t *size, uint64_t *contents)
{
    uint8_t *chunk = malloc(CHUNK);
    int rc = chunk ? AN_OK : an_error(AN_ENOMEM, "out of memory reading '%s'", path), got = 1;
    uint64_t promised = UINT64_MAX;
    *size = *contents = 0;
    while (!rc && got > 0) {
        int status = Z_OK;
        got = gzread(file, chunk, CHUNK);
        if (got < (int)CHUNK)
            gzerror(file, &status);
        if (got < 0 || (status != Z_OK && status != Z_STREAM_END))
            rc = an_error(AN_ECORRUPT, "'%s' is damaged or cut short (gzip)", path);
        if (!rc && into >= 0 && *size == 0)
            rc = promised_size(path, chunk, (size_t)got, &promised);
        if (!rc && (uint64_t)got > promised - *size)
            rc = an_error(AN_ECORRUPT, "'%s' unpacks to more than the %llu bytes that its header promises", path,
                          (unsigned long long)promised);
        if (!rc && into >= 0) {
            rc = an_temporary_write(into, chunk, (size_t)got);
            if (rc)
                an_error_prefix(rc, "cannot unpack '%s'", path);
        }
        if (!rc) {
            *contents = XXH3_64bits_withSeed(chunk, (size_t)got, *contents);
            *size += (uint64_t)got;
        }
    }
    free(chunk);
    return rc;
}

/* Open path, or a temporary file with its unpacked bytes if it is compressed. The caller closes *fd. */
static int open_unpacked(const char *path, int *fd, uint64_t *size, uint64_t *contents)
{
    int packed;
    int rc = an_file_open(&packed, path);
    if (rc)
        return rc;
    gzFile file = gzdopen(packed, "rb");
    if (!file) {
        close(packed);
        return an_error(AN_ENOMEM, "out of memory reading '%s'", path);
    }
    bool plain = gzdirect(file);
    rc = plain ? an_file_open(fd, path) : an_temporary_open(fd);
    if (!rc) {
        rc = read_through(file, path, plain ? -1 : *fd, size, contents);
        if (rc)
            close(*fd);
    }
    gzclose_r(file);
    return rc;
}

static int read_header(const char *path, int fd, uint64_t size, uint32_t dimensions, an_idx_header *header)
{
    uint8_t bytes[HEADER_MAX];
    size_t have = size < sizeof(bytes) ? (size_t)size : sizeof(bytes);
    int rc = an_file_pread(fd, bytes, have, 0, path);
    if (!rc)
        rc = an_idx_parse(bytes, have, header);
    if (!rc && header->dimensions != dimensions)
        rc = an_error(AN_ECORRUPT, "expected an IDX file of %u dimensions, found %u", dimensions, header->dimensions);
    if (!rc && header->header_size + header->data_size != size)
        rc = an_error(AN_ECORRUPT, "its header promises %llu bytes of data, but there are %llu",
                      (unsigned long long)header->data_size, (unsigned long long)(size - header->header_size));
    return rc ? an_error_prefix(rc, "'%s'", path) : AN_OK;
}

/* Append path to out, with the first `from` in its file name replaced by `to`. AN_ENOTFOUND if there is none. */
static int with_part(const char *path, const char *from, const char *to, an_buffer *out)
{
    const char *slash = strrchr(path, '/'), *at = strstr(slash ? slash : path, from);
    if (!at)
        return AN_ENOTFOUND;
    return an_buffer_printf(out, "%.*s%s%s", (int)(at - path), path, to, at + strlen(from));
}

/* Find the labels file by its usual name: "labels" for "images", "idx1" for "idx3"; compressed or not. */
static int find_labels(const char *images, an_buffer *out)
{
    static const char *const parts[][2] = {
        {"images-idx3", "labels-idx1"}, {"images.idx3", "labels.idx1"}, {"images", "labels"}};
    for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++) {
        out->size = 0;
        int rc = with_part(images, parts[i][0], parts[i][1], out);
        if (rc < 0 && rc != AN_ENOTFOUND)
            return rc;
        if (rc)
            continue;
        char *path = (char *)out->data;
        if (access(path, R_OK) == 0)
            return AN_OK;
        size_t length = strlen(path);
        if (length > 3 && strcmp(path + length - 3, ".gz") == 0)
            path[length - 3] = 0;
        else
            rc = an_buffer_append(out, ".gz", 4);
        if (rc)
            return rc;
        if (access((char *)out->data, R_OK) == 0)
            return AN_OK;
    }
    return an_error(AN_ENOTFOUND, "cannot find the labels of '%s' beside it: name them with --labels FILE", images);
}

/* count: of the images, for which there must be as many labels. */
static int read_labels(const char *path, const char *images, uint64_t count, uint8_t **out, uint64_t *contents)
{
    int fd;
    uint64_t size;
    an_idx_header header;
    int rc = open_unpacked(path, &fd, &size, contents);
    if (rc)
        return rc;
    *out = NULL;
    rc = read_header(path, fd, size, 1, &header);
    if (!rc && header.data_size != count)
        rc = an_error(AN_ECORRUPT, "'%s' has %llu images but '%s' has %llu labels", images, (unsigned long long)count,
                      path, (unsigned long long)header.data_size);
    if (!rc && !(*out = malloc(header.data_size + 1)))
        rc = an_error(AN_ENOMEM, "out of memory for the labels in '%s'", path);
    if (!rc)
        rc = an_file_pread(fd, *out, header.data_size, header.header_size, path);
    close(fd);
    return rc;
}

static int add_items(an_listing *listing, const char *images, const an_idx_header *header, uint32_t file,
                     const uint8_t *labels)
{
    const char *slash = strrchr(images, '/');
    uint64_t size = (uint64_t)header->size[1] * header->size[2];
    int rc = AN_OK;
    for (uint32_t i = 0; i < header->size[0] && !rc; i++) {
        char name[512], id[16];
        uint32_t label;
        snprintf(id, sizeof(id), "%u", labels[i]);
        snprintf(name, sizeof(name), "%.400s/%u", slash ? slash + 1 : images, i);
        rc = an_listing_class(listing, id, &label);
        if (!rc)
            rc = an_listing_add(listing, name, label, file, header->header_size + size * i, size);
    }
    return rc;
}

static int fill(an_listing *listing, const an_source_options *options, const char *labels_path)
{
    int fd;
    uint32_t file;
    uint64_t size, contents, label_contents;
    uint8_t *labels = NULL;
    an_idx_header header;
    int rc = open_unpacked(options->path, &fd, &size, &contents);
    if (rc)
        return rc;
    rc = read_header(options->path, fd, size, 3, &header);
    if (!rc && (!header.size[1] || !header.size[2] || header.size[1] > 16384 || header.size[2] > 16384))
        rc =
            an_error(AN_ECORRUPT, "'%s' holds images of %u x %u pixels", options->path, header.size[2], header.size[1]);
    if (!rc && header.size[0] > IMAGES_MAX)
        rc = an_error(AN_EUNSUPPORTED, "'%s' holds %u images: %u are possible", options->path, header.size[0],
                      IMAGES_MAX);
    if (!rc)
        rc = an_listing_add_file(listing, options->path, fd, &file);
    if (rc) {
        close(fd);
        return rc;
    }
    rc = read_labels(labels_path, options->path, header.size[0], &labels, &label_contents);
    if (!rc)
        rc = add_items(listing, options->path, &header, file, labels);
    if (!rc)
        rc = an_listing_resolve_classes(listing, options->classes, true);
    an_listing_set_raw(listing, AN_ITEM_GREY, header.size[2], header.size[1]);
    free(labels);
    return rc ? rc : an_listing_seal(listing, options, contents ^ label_contents);
}

static int open_idx(an_source **out, const an_source_options *options)
{
    an_listing *listing;
    an_buffer labels = {0};
    int rc = an_listing_create(&listing, "idx", "");
    if (rc)
        return rc;
    rc = options->labels ? an_buffer_printf(&labels, "%s", options->labels) : find_labels(options->path, &labels);
    if (!rc)
        rc = fill(listing, options, (char *)labels.data);
    an_buffer_free(&labels);
    if (rc) {
        an_source_free(an_listing_source(listing));
        return rc;
    }
    *out = an_listing_source(listing);
    return AN_OK;
}

static bool matches(const an_source_probe *found)
{
    return found->head_size >= 4 && memcmp(found->head, "\0\0\x08", 3) == 0;
}

const an_source_kind an_source_idx = {
    .name = "idx",
    .description = "MNIST's images file, plain or gzip, with its labels file",
    .labels = true,
    .matches = matches,
    .open = open_idx,
};
