/* Writing a dataset. It grows in the folder "<path>.partial", which is renamed to path when it is complete. After an
 * interruption at any moment, opening it again with the same manifest goes on after the last commit. A writer belongs
 * to one thread. After a failed write all further calls fail; what was committed stays. */
#ifndef AN_STORE_DATASET_WRITER_H
#define AN_STORE_DATASET_WRITER_H

#include <stdbool.h>
#include <stdint.h>

#include "store/image/statistics.h"
#include "store/record.h"

typedef struct an_writer an_writer;

/* Could a dataset be written to path? Looks only: AN_EINVAL if path is empty, exists or names no folder that can be
 * new, other codes if the system refuses. Folders on the way that are missing are made by an_writer_open, which checks
 * all this itself. For programs that have long work to do before. */
int an_writer_check_path(const char *path);

/* manifest: the text of a JSON object that says what is written from what; the dataset keeps it. A .partial with
 * another manifest is AN_EINVAL, and the message gives the first key that differs and both values. A path that exists
 * is refused. side: the width and height of every record, in pixels. sums: the caller's, who initialises them and adds
 * every image to them; each commit stores them. When an interrupted run goes on, they are filled with what was
 * committed. They must outlive the writer. */
int an_writer_open(an_writer **out, const char *path, const char *manifest, uint32_t side, an_statistics_sums *sums);

/* How to tell a source that was mended from another source. manifest_then makes the manifest of the source as it was
 * for the interrupted run, whose manifest was `before`; the caller frees *out. AN_EINVAL if it cannot be the same
 * source. It may ask the writer for its position and for what was set aside. */
typedef struct {
    int (*manifest_then)(void *context, an_writer *writer, const char *before, char **out);
    void *context;
} an_writer_mending;

/* The same, but a .partial whose manifest differs is taken if it is what manifest_then makes. The new manifest becomes
 * the dataset's with the next commit. */
int an_writer_open_mended(an_writer **out, const char *path, const char *manifest, uint32_t side,
                          an_statistics_sums *sums, const an_writer_mending *mending);

uint64_t an_writer_count(const an_writer *writer);    /* records present, committed or not */
uint64_t an_writer_rejects(const an_writer *writer);  /* set aside so far */
uint64_t an_writer_position(const an_writer *writer); /* count + rejects: items taken from the source */

/* Append a record. The header has label, codec, width, height and length; checksum is filled in here. name: the path in
 * the source. */
int an_writer_put(an_writer *writer, an_record_header *header, const uint8_t *payload, const char *name);
/* Append an input that was set aside: its path in the source, why, and its size. */
int an_writer_reject(an_writer *writer, const char *name, const char *reason, uint64_t bytes);

/* For a run that goes on and gives inputs again that were set aside. number is the place in the order in which
 * an_writer_rejects_visit shows them, from 0. Either the input is still unusable, for this reason, or an_writer_put
 * took it and an_writer_accept takes it off the list. Between two commits each number is given at most once, and the
 * numbers stay as they are; a commit numbers what is left anew. */
int an_writer_reject_again(an_writer *writer, uint64_t number, const char *name, const char *reason, uint64_t bytes);
int an_writer_accept(an_writer *writer, uint64_t number);

/* For a source without a list, which after an interruption is read again from its start. Call it for each item again
 * that was put or rejected before, from the first on: AN_EINVAL if this is not the item of that position, and the
 * message names both. */
int an_writer_expect(an_writer *writer, uint32_t label, const char *name);

/* Call visit for each input set aside so far, by interrupted runs before this one too; as an_dataset_rejects. */
int an_writer_rejects_visit(an_writer *writer,
                            int (*visit)(void *context, const char *name, const char *reason, uint64_t bytes),
                            void *context);

/* Define or redefine the class of a label. When the dataset is finished, labels must count from 0 without a gap. */
int an_writer_class(an_writer *writer, uint32_t label, const char *id, const char *name);

/* Give each label that has records and no class the class whose id and name are its number. AN_EINVAL, and nothing is
 * changed, if a lower label has neither, or if two classes would have the same id; the message names them. */
int an_writer_number_classes(an_writer *writer);

/* Write everything so far to the disk, together with the sums. */
int an_writer_commit(an_writer *writer);

/* Commit, mark the dataset as complete, sync it and rename it to path. The writer is freed, also after a failure. */
int an_writer_finish(an_writer *writer);
/* Close without finishing: what was committed stays in .partial and can be resumed. NULL is fine. */
void an_writer_close(an_writer *writer);

#endif
