/* Small values between all ranks. The data lie in the group's own memory while MPI moves them: after a failure the
 * caller may free what it gave. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "train/group/group_private.h"

#define PIECE ((size_t)4 << 20) /* bytes of a broadcast that move at a time */

/* Under lock. What was there before may belong to a request no more: collectives follow each other. */
static int room(an_collective *c, size_t size)
{
    if (size <= c->capacity)
        return AN_OK;
    uint8_t *memory = malloc(size);
    if (!memory)
        return an_error(AN_ENOMEM, "out of memory");
    free(c->memory);
    c->memory = memory;
    c->capacity = size;
    return AN_OK;
}

/* Under lock: has the group's thread carry it out. */
static int carry_out(an_group *group)
{
    an_collective *c = &group->collective;
    c->state = AN_COLLECTIVE_POSTED;
    an_group_wake(group);
    while (c->state != AN_COLLECTIVE_DONE) {
        int rc = an_group_failure(group);
        if (rc)
            return rc;
        pthread_cond_wait(&group->done, &group->lock);
    }
    c->state = AN_COLLECTIVE_NONE;
    return AN_OK;
}

/* Under lock. */
static int gather(an_group *group, const void *own, size_t size, void *all)
{
    an_collective *c = &group->collective;
    size_t total;
    int rc = an_group_failure(group);
    if (rc)
        return rc;
    rc = an_size_multiply(size, (size_t)group->place.world, &total);
    if (!rc && total > INT_MAX)
        rc = AN_EINVAL;
    if (rc)
        return an_error(AN_EINVAL, "%zu bytes of each rank are too many to gather", size);
    rc = room(c, size + total);
    if (rc)
        return rc;
    c->broadcast = false;
    c->size = size;
    memcpy(c->memory, own, size);
    rc = carry_out(group);
    if (!rc)
        memcpy(all, c->memory + size, total);
    return rc;
}

int an_group_gather(an_group *group, const void *own, size_t size, void *all)
{
    if (!group) {
        memcpy(all, own, size);
        return AN_OK;
    }
    atomic_fetch_add(&group->begun, 1);
    pthread_mutex_lock(&group->lock);
    int rc = gather(group, own, size, all);
    pthread_mutex_unlock(&group->lock);
    return rc;
}

int an_group_barrier(an_group *group)
{
    if (!group)
        return AN_OK;
    uint8_t own = 0, *all = malloc((size_t)group->place.world);
    if (!all)
        return an_error(AN_ENOMEM, "out of memory");
    int rc = an_group_gather(group, &own, sizeof own, all);
    free(all);
    return rc;
}

int an_group_sum(an_group *group, double *values, int count)
{
    if (!group)
        return AN_OK;
    double *all = malloc((size_t)group->place.world * (size_t)count * sizeof *all);
    if (!all)
        return an_error(AN_ENOMEM, "out of memory");
    int rc = an_group_gather(group, values, (size_t)count * sizeof *values, all);
    for (int i = 0; i < count && !rc; i++) {
        values[i] = all[i];
        for (int rank = 1; rank < group->place.world; rank++)
            values[i] += all[(size_t)rank * (size_t)count + (size_t)i];
    }
    free(all);
    return rc;
}

/* Under lock. */
static int broadcast_piece(an_group *group, uint8_t *data, size_t size)
{
    an_collective *c = &group->collective;
    int rc = an_group_failure(group);
    if (rc)
        return rc;
    rc = room(c, size);
    if (rc)
        return rc;
    c->broadcast = true;
    c->size = size;
    if (!group->place.rank)
        memcpy(c->memory, data, size);
    rc = carry_out(group);
    if (!rc && group->place.rank)
        memcpy(data, c->memory, size);
    return rc;
}

int an_group_broadcast(an_group *group, void *data, size_t size)
{
    int rc = AN_OK;
    if (!group)
        return AN_OK;
    for (size_t at = 0; at < size && !rc; at += PIECE) {
        atomic_fetch_add(&group->begun, 1);
        pthread_mutex_lock(&group->lock);
        rc = broadcast_piece(group, (uint8_t *)data + at, size - at < PIECE ? size - at : PIECE);
        pthread_mutex_unlock(&group->lock);
    }
    return rc;
}

static void finish(an_group *group, void *context, int number)
{
    an_collective *c = context;
    (void)number;
    pthread_mutex_lock(&group->lock);
    c->state = AN_COLLECTIVE_DONE;
    pthread_cond_broadcast(&group->done);
    pthread_mutex_unlock(&group->lock);
}

void an_collective_advance(an_group *group)
{
    an_collective *c = &group->collective;
    const an_mpi *mpi = group->mpi;
    uint64_t request = 0;
    pthread_mutex_lock(&group->lock);
    bool posted = c->state == AN_COLLECTIVE_POSTED;
    if (posted)
        c->state = AN_COLLECTIVE_MOVING;
    pthread_mutex_unlock(&group->lock);
    if (!posted)
        return;
    int code = c->broadcast ? mpi->broadcast(mpi->context, c->memory, c->size, &request)
                            : mpi->gather(mpi->context, c->memory, c->size, c->memory + c->size, &request);
    an_group_expect(group, code, request, finish, c, 0);
}

bool an_collective_busy(an_group *group)
{
    pthread_mutex_lock(&group->lock);
    bool busy = group->collective.state == AN_COLLECTIVE_POSTED || group->collective.state == AN_COLLECTIVE_MOVING;
    pthread_mutex_unlock(&group->lock);
    return busy;
}
