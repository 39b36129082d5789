/* Paths inside a source: how they are written, which of them are left out, and which folder names the class. Folders,
 * tars and streams share these rules, so that the same tree gets the same labels whichever way it comes.
 *
 * A path is normalised: parts that are empty or "." do not count, ".." goes one folder up but not beyond the top, and a
 * "/" in front is dropped. The path of a folder ends with "/". */
#ifndef AN_INGEST_SOURCES_ARCHIVE_PLACE_H
#define AN_INGEST_SOURCES_ARCHIVE_PLACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "ingest/sources/labels/classes.h"

/* Bytes of a path in a tar: as many as Linux opens. What looks at each folder of a path would take long otherwise. */
enum { AN_PLACE_PATH_MAX = 4096 };

/* Replace out by the normalised form of prefix/name, terminated. A folder gets a "/" at its end. AN_EUNSUPPORTED: it is
 * longer than AN_PLACE_PATH_MAX. */
int an_place_normalise(an_buffer *out, const char *prefix, const char *name, bool folder);

/* Does the name end like an image's (.jpg, .PNG ...)? */
bool an_place_is_image(const char *path);

/* Why an image beside the class folders is set aside. */
#define AN_PLACE_BESIDE "it lies beside the class folders, in none of them"

/* What was left out of a source, for a message. Zeros to begin with. */
typedef struct {
    uint32_t systems;                           /* bit i: folders called like the i-th that systems make */
    uint64_t hidden, datasets;                  /* hidden images; folders that hold a dataset */
    char first_hidden[256], first_dataset[256]; /* cut where they are full */
} an_place_left_out;

/* Is the path left out: is a part of it hidden (it begins with a dot), or is one of its folders of the kind that
 * systems make for themselves (__MACOSX, lost+found, @eaDir ...)? It is then counted in left. */
bool an_place_is_left_out(const char *path, an_place_left_out *left);

/* Is this last part of a path a folder that systems make for themselves? It is then counted in left. */
bool an_place_is_system(const char *part, an_place_left_out *left);

/* Is it a file that only a dataset of ours has? */
bool an_place_is_dataset_file(const char *path);
void an_place_count_dataset(an_place_left_out *left, const char *folder);

/* Append a note for each kind of thing that was left out. */
int an_place_describe(const an_place_left_out *left, an_buffer *out);

/* The folder whose name is the class of path: the first one below base, which is the folder that holds the class
 * folders ("", or "Data/"). *start and *length: the name, within path. AN_END: path lies beside the class folders. */
int an_place_class(const char *base, const char *path, const char **start, size_t *length);

/* Set base from a path one of whose folders is a class: to the folders before the first such. boundary: how many bytes
 * of path are that of the tar inside a tar that it lies in, whose own folders are no classes; 0 if there is no such
 * tar. AN_END: none is a class. */
int an_place_learn(an_buffer *base, const char *path, size_t boundary, const an_classes *classes);

#endif
