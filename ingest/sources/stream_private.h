/* Shared by stream.c, which reads the tar, and stream_classes.c, which finds the classes of its members. */
#ifndef AN_INGEST_SOURCES_STREAM_PRIVATE_H
#define AN_INGEST_SOURCES_STREAM_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/rng.h"
#include "ingest/sources/archive/place.h"
#include "ingest/sources/archive/seen_private.h"
#include "ingest/sources/archive/tar_stream_private.h"
#include "ingest/sources/archive/webdataset_private.h"
#include "ingest/sources/item_list_private.h"
#include "ingest/sources/source.h"

/* Where classes come from. */
typedef enum { AN_STREAM_UNKNOWN, AN_STREAM_FOLDERS, AN_STREAM_SAMPLES } an_stream_mode;

typedef struct {
    an_source source; /* must be first: pointers to the two are cast into each other */
    an_tar_stream *tar;
    an_stream_mode mode;
    an_item_list ready; /* made, but not given yet */
    /* AN_STREAM_UNKNOWN: members of one key, with their bytes; members that had no class, without bytes. */
    an_item_list held, waiting;
    uint64_t held_bytes; /* of those that are held, together */
    size_t boundary;     /* of those that are held: see an_tar_stream_next */
    /* AN_STREAM_FOLDERS: the folder that holds the class folders; the paths that have come. */
    an_buffer base, class_id;
    an_seen paths;
    /* AN_STREAM_SAMPLES: the current one, with its image and the text of its .cls. */
    an_sample sample;
    an_item image;
    an_buffer class_text;
    an_place_left_out left_out;
    uint64_t *images; /* images[label]: for the note on empty classes */
    bool shuffle, ended;
    an_rng rng;
    an_item *window;
    uint32_t in_window;
    uint64_t window_bytes;
} an_stream_source;

/* Put the member that *item is, with its bytes if it has no refusal, where it belongs: sooner or later among those that
 * are ready, or nowhere. boundary: see an_tar_stream_next. */
int an_stream_add(an_stream_source *s, an_item *item, size_t boundary);

/* The tar is over: add what was still open. */
int an_stream_finish(an_stream_source *s);

#endif
