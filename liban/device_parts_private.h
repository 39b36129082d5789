/* What the files of batches on a device share. device.c makes and frees it, device_pump.c is the thread that feeds the
 * device, and device_lend.c serves the callers.
 *
 * DESIGN. A place of the feed goes round: free, sent (its records are on their way or being decoded), ready, lent. The
 * pump takes a free place and the loader's next batch of records, copies what the host keeps of it (labels, indices,
 * draws), and queues the rest for the device; up to AN_LIB_DEVICE_SENT batches at a time, so that one is copied while
 * another is decoded. It asks the feed in intervals whether the oldest is done: that may have to wait for what the
 * place's last user has queued, which nobody can limit, and closing must not wait for it. Then the loader gets its
 * batch back, and the place is ready.
 *
 * If nothing is free because all places are lent, and somebody asks for a batch, the pump makes a place.
 *
 * Everything is under `lock`, but what a sent place holds is the pump's, and the feed has the rules of augment/feed.h:
 * the pump puts, grows and asks; the callers borrow, one at a time under `borrowing`, which is taken before `lock`. */
#ifndef AN_LIBAN_DEVICE_PARTS_PRIVATE_H
#define AN_LIBAN_DEVICE_PARTS_PRIVATE_H

#include <pthread.h>

#include "augment/feed.h"
#include "base/error.h"
#include "liban/device_private.h"

enum { AN_LIB_DEVICE_SENT = 2 };

typedef struct {
    an_batch batch;   /* as it is lent: its arrays are this place's own; lease 0: it is not lent */
    an_batch records; /* the loader's, while the place is sent */
    void *memory;     /* of the arrays */
} an_lib_place;

/* Numbers of places, first in, first out; there is room for all. */
typedef struct {
    uint32_t *numbers;
    uint32_t first, count, room;
} an_lib_line;

struct an_lib_device {
    an_loader *loader;
    an_batch_feed *feed;
    int number;
    const an_dataset *dataset;
    uint32_t batch, places_max;
    size_t sample; /* bytes */

    pthread_mutex_t borrowing, lock;
    pthread_cond_t changed;  /* for callers */
    pthread_cond_t returned; /* for the pump: a place is free, somebody asks for one, or it shall stop */
    an_lib_place *places;    /* places_max */
    uint32_t *numbers;       /* of the lines */
    uint32_t made, lent;
    an_lib_line free, sent, ready;
    uint64_t loans;
    int asking;              /* callers that wait for a batch */
    an_error_state no_place; /* why the pump could not make a place; told once. code 0: it could */
    an_error_state end;      /* what comes behind the ready batches, for good; code 0: nothing yet */
    bool at_once;            /* end comes before the ready batches */
    bool broken;             /* the device failed, or found damage: nothing that is sent can be used. The pump's own */
    bool damaged;            /* end is of this record: */
    uint64_t damaged_record;
    bool stop, interrupted;
    uint64_t interruptions;
    uint64_t batches, samples, wait_ns, started_ns;

    bool pumping;
    pthread_t pump;
};

void an_lib_line_push(an_lib_line *line, uint32_t number);
uint32_t an_lib_line_pop(an_lib_line *line);

/* Make the host's arrays of the next place, behind those that are made. By the thread that makes places. */
int an_lib_device_prepare_place(an_lib_device *device);
/* The next place, which the feed has and which was prepared, is free. The lock is held, or no thread runs yet. */
void an_lib_device_add_place(an_lib_device *device);

/* Sleep until the condition is signalled, or for so long at most. False: the time is over. The lock is held. */
bool an_lib_device_sleep(an_lib_device *device, pthread_cond_t *condition, uint64_t deadline_ns);

void *an_lib_device_pump(void *device); /* the thread */

#endif
