/* Going on after an interruption with a source that may have been mended since: whether it is the same source
 * (mended.c), and which of its inputs that were set aside are tried again (again.c). Those of a stream cannot be had
 * again, as its bytes have passed.
 *
 * All of this belongs to the thread that calls the pipeline; while the pipeline's threads run, the lister takes items
 * out of an an_again. Failures come from the source, the writer and files. */
#ifndef AN_INGEST_RUN_AGAIN_PRIVATE_H
#define AN_INGEST_RUN_AGAIN_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "ingest/run/config.h"
#include "ingest/sources/source.h"
#include "store/dataset/writer.h"

/* The names of what was set aside, in the order of names. */
typedef struct an_again_name an_again_name;
typedef struct {
    an_again_name *entries;
    uint64_t count, limit; /* limit: entries of the writer behind it were never committed with their number */
} an_again_names;

int an_again_names_list(an_again_names *out, an_writer *writer); /* free out also after a failure */
bool an_again_names_has(const an_again_names *names, const char *name);
void an_again_names_free(an_again_names *names);

typedef struct {
    an_item item;
    uint64_t position; /* of the item in the source */
    uint64_t number;   /* among what was set aside, for an_writer_accept */
} an_again_item;

typedef struct {
    an_again_item *items;
    uint64_t count;
} an_again;

/* Read the first `passed` items of the source, which were done before, and keep those that were set aside. */
int an_again_collect(an_again *out, an_source *source, an_writer *writer, uint64_t passed);
void an_again_free(an_again *again);

/* Is a source that has changed since an interrupted run the same, only mended? The names and classes must be as they
 * were. The size of an input may be another one if the input was set aside, or was not read yet.
 *
 * The manifest holds one hash over all sizes. So a run begins with writing the sizes themselves to a file beside
 * data.mdb, called after that hash, and removes it before the dataset is finished. Sources that are not listed have no
 * such file. */
typedef struct {
    const an_ingest_config *config;
    an_source *source;
    const char *destination;
    bool changed; /* an interrupted run had another manifest */
} an_mended;

/* The function of an an_writer_mending whose context is an an_mended. */
int an_mended_manifest(void *mended, an_writer *writer, const char *before, char **out);

/* After opening the writer: write the file for the source as it is, if it is not there. If the source changed, commit
 * the manifest that goes with it and remove the file that it replaces. */
int an_mended_remember(const an_mended *mended, an_writer *writer);

/* Remove all such files. */
int an_mended_forget(const an_mended *mended);

#endif
