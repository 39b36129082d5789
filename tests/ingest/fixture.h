/* Small inputs for the tests of ingest: a temporary folder, files in it, synthetic pictures. Failures end the test. */
#ifndef AN_TESTS_INGEST_FIXTURE_H
#define AN_TESTS_INGEST_FIXTURE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "store/image/image.h"
#include "store/jpeg/jpeg.h"

typedef struct {
    char root[256];
    char path[4][512]; /* of fixture_path, used in turn */
    int turn;
} fixture;

void fixture_open(fixture *f);  /* a fresh folder under TMPDIR */
void fixture_close(fixture *f); /* removes it and everything inside */
void fixture_remove(const char *path);

/* root/name; valid for the next three calls. */
const char *fixture_path(fixture *f, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Write a file, making the folders on the way. */
void fixture_write(const char *path, const void *data, size_t size);

/* A smooth picture with some texture, different for each seed. */
void fixture_picture(an_image *image, uint32_t width, uint32_t height, uint32_t seed);

/* The same as a file. */
void fixture_jpeg(an_buffer *out, uint32_t width, uint32_t height, uint32_t seed, an_jpeg_subsampling subsampling);
void fixture_png(an_buffer *out, uint32_t width, uint32_t height, uint32_t seed);
void fixture_write_jpeg(const char *path, uint32_t width, uint32_t height, uint32_t seed);

/* A tar being written to path, member by member. */
typedef struct archive fixture_tar;
fixture_tar *fixture_tar_open(const char *path);
void fixture_tar_add(fixture_tar *tar, const char *name, const void *data, size_t size);
/* A symbolic link, or a hard one. */
void fixture_tar_link(fixture_tar *tar, const char *name, const char *target, bool symbolic);
void fixture_tar_add_jpeg(fixture_tar *tar, const char *name, uint32_t seed); /* 40 x 30 pixels */
void fixture_tar_close(fixture_tar *tar);

#endif
