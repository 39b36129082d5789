/* What a kind of source provides to source.c: one constant per kind, defined in the file of that kind.
 * To add a kind: define its an_source_kind there, declare it here, add it to the table in source.c. */
#ifndef AN_INGEST_SOURCES_SOURCE_PRIVATE_H
#define AN_INGEST_SOURCES_SOURCE_PRIVATE_H

#include <dirent.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "ingest/sources/source.h"

/* What can be learned of SOURCE without knowing its kind. */
typedef struct {
    const char *path;
    bool standard_input;        /* SOURCE is "-"; nothing else is known then */
    bool folder;                /* otherwise a file */
    bool has_folders, has_tars; /* a folder: what it holds, hidden entries not counted */
    uint64_t size;              /* a file: its bytes on disk */
    uint8_t head[512];          /* a file: its first bytes, after gunzip if it is compressed */
    size_t head_size;
} an_source_probe;

/* Look at path. Fails if it cannot be read, or is a compressed tar, which no kind can read in place: AN_EUNSUPPORTED.
 */
int an_source_look(an_source_probe *out, const char *path);

/* Is there an entry of this name in the folder? */
bool an_source_holds(const an_source_probe *found, const char *name);

/* Call visit for each entry of the folder that is wanted, in bytewise order of the names; path is the folder's with the
 * name behind it. What visit returns other than 0 ends the walk and is returned. */
int an_source_each_file(const char *folder, int (*wanted)(const struct dirent *entry),
                        int (*visit)(void *context, const char *path, const char *name), void *context);

/* Are these the first bytes of a tar of any format? */
bool an_source_is_tar(const uint8_t *head, size_t size);

bool an_source_ends_with(const char *text, const char *end);

/* Append a note that names the classes for which images[label] is 0. */
int an_source_note_empty_classes(an_source *source, const uint64_t *images);

/* Can this many items be shuffled? Positions are drawn as 32-bit numbers: AN_EUNSUPPORTED beyond UINT32_MAX items. */
int an_source_check_shuffle(uint64_t items);

typedef struct {
    const char *name;                              /* for --kind */
    const char *description;                       /* for --help: one line, what such a source looks like */
    bool labels, devkit;                           /* does it use --labels, --devkit? */
    bool (*matches)(const an_source_probe *found); /* the kind of a source is the first that says yes */
    int (*open)(an_source **out, const an_source_options *options);
} an_source_kind;

extern const an_source_kind an_source_cifar10, an_source_dataset, an_source_folder, an_source_idx, an_source_list,
    an_source_shards, an_source_stream, an_source_tar;

#endif
