/* A run: one loader of augment/, and the batches that are lent of it. A liban_loader has one at a time. It begins
 * another where that one cannot go on: at a change of crops, or when it is sent to another place.
 *
 * Ownership. The run's owner gives it up by an_lib_run_retire. Its memory lives until the last of its batches was
 * released, by whichever thread. Threads. One thread at a time calls an_lib_run_next; everything else, any. */
#ifndef AN_LIBAN_RUN_PRIVATE_H
#define AN_LIBAN_RUN_PRIVATE_H

#include <sys/types.h>

#include <an/loader.h>

#include "augment/loader.h"
#include "liban/source_private.h"

typedef struct an_lib_run an_lib_run;

typedef struct {
    an_loader_options loader; /* without memory */
    const char *device;       /* NULL: the host */
    int (*memory_alloc)(void *context, void **out, size_t size);
    void (*memory_free)(void *context, void *memory, size_t size);
    void *memory_context;
    pid_t process;
} an_lib_run_options;

int an_lib_run_create(an_lib_run **out, liban_dataset *dataset, const an_lib_run_options *options);
/* Stop its threads. Adds what it counted to *stats. */
void an_lib_run_retire(an_lib_run *run, an_loader_stats *stats);

an_lib_source *an_lib_run_source(an_lib_run *run);
uint32_t an_lib_run_crop(const an_lib_run *run);

/* Lend the next batch, as an_loader_next_within does. */
int an_lib_run_next(an_lib_run *run, uint64_t nanoseconds, liban_batch **out);

void an_lib_stats_add(an_loader_stats *to, const an_loader_stats *more);

#endif
