/* Writing a dataset: append-only into "<path>.partial", renamed to path when complete. Interrupted anywhere, opening it
 * again with the same manifest continues after the last commit. One thread. */
#ifndef AN_STORE_DATASET_WRITER_H
#define AN_STORE_DATASET_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "store/image/statistics.h"
#include "store/record.h"

typedef struct an_writer an_writer;

/* manifest: JSON object text (canonical: sorted keys) that says what is being written from what; a .partial with
 * another one is refused (AN_EINVAL, first differing key and both values named). An existing path is refused. side:
 * every record's width and height. sums: initialised by the caller; on resume it is filled with what was committed. */
int an_writer_open(an_writer **out, const char *path, const char *manifest, uint32_t side, an_statistics_sums *sums);

uint64_t an_writer_count(const an_writer *writer);    /* records present, committed or not */
uint64_t an_writer_rejects(const an_writer *writer);  /* set aside so far */
uint64_t an_writer_position(const an_writer *writer); /* count + rejects: source items consumed */

/* Append. header->label, codec, width, height, length are given; checksum is filled in. name: path in the source. */
int an_writer_put(an_writer *writer, an_record_header *header, const uint8_t *payload, const char *name);
int an_writer_reject(an_writer *writer, const char *name, const char *reason, uint64_t bytes);

/* For a source that cannot be looked at beforehand and is read again from its start after an interruption: is this the
 * next of the items that were put or rejected before? Call once an item, from position 0 on. AN_EINVAL names both. */
int an_writer_expect(an_writer *writer, uint32_t label, const char *name);

/* What was set aside so far, by interrupted runs before this one too: as an_dataset_rejects. */
int an_writer_rejects_visit(an_writer *writer,
                            int (*visit)(void *context, const char *name, const char *reason, uint64_t bytes),
                            void *context);

/* Define or redefine the class of a label; labels must be dense when the dataset is finished. */
int an_writer_class(an_writer *writer, uint32_t label, const char *id, const char *name);

/* Make everything so far durable together with the sums. The map grows by itself when full. */
int an_writer_commit(an_writer *writer);

/* Commit, compute statistics, mark complete, sync, rename to path. The writer is freed either way. */
int an_writer_finish(an_writer *writer);
/* Close without finishing: what was committed stays in .partial and can be resumed. NULL is fine. */
void an_writer_close(an_writer *writer);

#endif
