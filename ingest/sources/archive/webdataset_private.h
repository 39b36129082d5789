/* Samples of a webdataset: members of a tar that stand together and share the key, which is the path up to the first
 * dot of its last part. key.cls holds the class. The image is the member called key.jpg (or .png, .jfif ...), or else
 * the only one whose name ends like an image's (key.img.jpg).
 *
 * Tars in files and streams both put their members, in the order of the tar, through an an_sample, so that they find
 * the same samples. The caller keeps what belongs to the members: their places or their bytes. */
#ifndef AN_INGEST_SOURCES_ARCHIVE_WEBDATASET_PRIVATE_H
#define AN_INGEST_SOURCES_ARCHIVE_WEBDATASET_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "ingest/sources/archive/seen_private.h"

#define AN_WEBDATASET_CLASS_MAX 64 /* bytes; a larger .cls file is no class */

/* Why an image is set aside. */
#define AN_WEBDATASET_SECOND "the sample has another image already"
#define AN_WEBDATASET_EMPTY "the .cls beside it is empty"
#define AN_WEBDATASET_LINES "the .cls beside it has several lines"
#define AN_WEBDATASET_NO_TEXT "the .cls beside it is no text: it holds null bytes"
#define AN_WEBDATASET_LARGE "the .cls beside it is too large for a class"

typedef struct {
    an_buffer path;          /* of the image; of the .cls file as long as there is no image */
    size_t key;              /* bytes of path */
    int image;               /* 0: none yet, 1: one like key.img.jpg, 2: one like key.jpg */
    bool has_class, several; /* several: of the kind 1 */
    an_seen keys;
    uint64_t spare, lone; /* further images of samples; members without their counterpart */
    char first_spare[256], first_lone[256];
} an_sample; /* zeros to begin with */

typedef enum {
    AN_SAMPLE_OTHER, /* of no use */
    AN_SAMPLE_IMAGE, /* the image of the sample; it takes the place of the one before */
    AN_SAMPLE_CLASS,
    AN_SAMPLE_SECOND, /* an image that has to be set aside, for the sample has one */
    AN_SAMPLE_NEXT    /* it belongs to the next sample: finish this one and add it again */
} an_sample_role;

bool an_webdataset_is_class(const char *path); /* .cls */
bool an_webdataset_same_key(const char *a, const char *b);

/* What the next member is to the sample. */
int an_sample_add(an_sample *sample, const char *path, an_sample_role *role);

/* The sample is over: it becomes empty. AN_OK: it is an image with its class. AN_END: there was nothing of use.
 * AN_AGAIN: an image or a .cls has to be set aside, with *reason. In the first and the last case sample->path is the
 * path of the member until the next call. */
int an_sample_finish(an_sample *sample, const char **reason);

/* Append notes about what was left out and what stood apart. */
int an_sample_describe(const an_sample *sample, an_buffer *out);
void an_sample_free(an_sample *sample);

/* *class_id: the line that a .cls file of size bytes holds, within text, which is changed; text has a 0 behind it. Else
 * the reason why the image beside it is set aside; NULL: none. */
const char *an_webdataset_class(char *text, size_t size, const char **class_id);

#endif
