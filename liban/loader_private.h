/* What the files of the loader share: loader.c makes and frees it and holds the DESIGN, loader_options.c and
 * loader_epochs.c translate the options, loader_next.c lends batches, loader_place.c says where in the data it is and
 * goes elsewhere, loader_tell.c counts and explains. */
#ifndef AN_LIBAN_LOADER_PRIVATE_H
#define AN_LIBAN_LOADER_PRIVATE_H

#include <pthread.h>

#include <an/loader.h>

#include "liban/run_private.h"

struct liban_loader {
    liban_dataset *dataset;
    an_lib_run_options run_options; /* of every run; its place and the size of its crops are each run's own */
    uint32_t crop;                  /* before the first change */
    liban_crop_change *changes;
    size_t change_count;
    uint64_t *indices;
    double *weights;
    char *device;      /* NULL: the host */
    uint64_t records;  /* of an epoch */
    uint64_t sampling; /* hash of indices and weights */
    pid_t process;

    pthread_mutex_t lock;
    pthread_cond_t turn;
    bool busy;        /* somebody has the turn */
    bool closed;      /* for good */
    bool interrupted; /* until liban_loader_resume */
    uint64_t interruptions;
    bool end_due;             /* an epoch is over and nobody was told yet */
    uint64_t epoch, position; /* where the next batch begins */
    an_lib_run *run;          /* which delivers from there; NULL: none yet */
    an_loader_stats past;     /* of the runs before it */
    char *note;
};

/* Fill in everything that the options say. LIBAN_EINVAL names the option. */
int an_lib_loader_translate(liban_loader *loader, const liban_loader_options *options);
int an_lib_loader_take_epochs(liban_loader *loader,
                              const liban_loader_options *options); /* of it: records, order, crops */

/* Pixels of an epoch's crops, and the epochs from there on that have the same; 0: all. */
uint32_t an_lib_loader_crop(const liban_loader *loader, uint64_t epoch, uint64_t *epochs);

/* Wait for the turn and take it. deadline_ns: on the monotonic clock; UINT64_MAX: none. LIBAN_INTERRUPTED, LIBAN_AGAIN.
 * With the turn a thread may use the run, and change the place under the lock. */
int an_lib_loader_take_turn(liban_loader *loader, uint64_t deadline_ns);
/* The same for those that do not wait for a batch: interruptions do not keep them. LIBAN_INTERRUPTED: closed. */
int an_lib_loader_claim_turn(liban_loader *loader);
void an_lib_loader_give_turn(liban_loader *loader);

/* With the turn: see to it that a run delivers from the loader's place on. */
int an_lib_loader_start(liban_loader *loader);
/* With the turn: stop the run, if there is one. */
void an_lib_loader_stop(liban_loader *loader);
/* With the turn: go to a place. An epoch of which nothing is left to deliver is over at once. LIBAN_EINVAL if that is
 * the last one that can be counted. */
int an_lib_loader_place(liban_loader *loader, uint64_t epoch, uint64_t position);

#endif
