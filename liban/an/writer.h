/* Writing a dataset, image by image. It grows in "<path>.partial", which gets its name when it is complete and synced.
 * Opening an interrupted one with the same options goes on behind what was committed: liban_writer_position says how
 * many images, added and left out, it holds, so these are not given again. A writer commits about every quarter of a
 * second by itself, and when it is told to.
 *
 * Ownership. The caller owns the writer, which liban_writer_finish and liban_writer_close free. Threads. One at a time
 * uses a writer. Failures. An image that cannot be decoded fails its call alone. After a failed write all later calls
 * fail; what was committed stays. */
#ifndef LIBAN_WRITER_H
#define LIBAN_WRITER_H

#include <stdbool.h>

#include <an/common.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct {
    uint32_t version; /* LIBAN_WRITER_OPTIONS_VERSION */
    uint32_t side;    /* pixels: images become side x side, resized by their shorter side, then cropped at the centre */
    const char *codec;   /* "jpeg", "coef", "yuv420", "rgb" */
    int quality;         /* 1..100; jpeg and coef */
    int subsampling;     /* 420, 422 or 444; jpeg and coef */
    uint64_t pixels_max; /* larger images are refused before they are decoded; 0: 64 megapixels */
    const char *source;  /* what the manifest says that the images are from; NULL: "liban" */
} liban_writer_options;

#define LIBAN_WRITER_OPTIONS_VERSION 1
#define LIBAN_WRITER_OPTIONS_INIT                                                                                      \
    {                                                                                                                  \
        .version = LIBAN_WRITER_OPTIONS_VERSION, .side = 256, .codec = "jpeg", .quality = 90, .subsampling = 420       \
    }

typedef struct liban_writer liban_writer;

/* LIBAN_EINVAL: an impossible option, a path that exists, or an interrupted writer of other options. */
LIBAN_API int liban_writer_open(liban_writer **out, const char *path, const liban_writer_options *options);
LIBAN_API uint64_t
liban_writer_count(const liban_writer *writer); /* images so far, committed ones of before included */
LIBAN_API uint64_t
liban_writer_position(const liban_writer *writer); /* the same, and what liban_writer_reject noted: where to go on */

/* Append an encoded image, JPEG or PNG. Bytes that fit are kept as they are, as an-ingest keeps them. label: at most
 * 999,999. name: its path in the source, unique or not; NULL: its number. LIBAN_ECORRUPT, LIBAN_EUNSUPPORTED: the image
 * cannot be used, and nothing was written. */
LIBAN_API int liban_writer_add_encoded(liban_writer *writer, const void *bytes, size_t size, uint32_t label,
                                       const char *name);

/* Append pixels: height rows of width pixels of channels bytes, 3 for RGB or 1 for grey, rows stride bytes apart.
 * LIBAN_EINVAL: an impossible size; LIBAN_EUNSUPPORTED: more than pixels_max. */
LIBAN_API int liban_writer_add_pixels(liban_writer *writer, const uint8_t *pixels, uint32_t width, uint32_t height,
                                      uint32_t channels, size_t stride, uint32_t label, const char *name);

/* Note an image that was left out, for the dataset's list of such. */
LIBAN_API int liban_writer_reject(liban_writer *writer, const char *name, const char *reason, uint64_t bytes);

/* Name the class of a label, or name it anew. Labels count from 0 without a gap, and no two classes have the same id.
 * name: for people; NULL: the id. A label that has images and no class gets its number as its id. */
LIBAN_API int liban_writer_class(liban_writer *writer, uint32_t label, const char *id, const char *name);

LIBAN_API int liban_writer_commit(liban_writer *writer); /* everything so far is on the disk */

/* Complete, sync, rename. The writer is freed, also after a failure; what was added can then be gone on with.
 * LIBAN_EINVAL: there is no image, a label without images and class lies below one that has them, or two classes have
 * the same id. */
LIBAN_API int liban_writer_finish(liban_writer *writer);

/* Without finishing; what was committed can be gone on with. NULL is fine. */
LIBAN_API void liban_writer_close(liban_writer *writer);

#ifdef __cplusplus
}
#endif

#endif
