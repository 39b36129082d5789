/* Requests that MPI works on. */
#include <stdlib.h>

#include "train/group/group_private.h"

static int report_code(an_group *group, int code)
{
    char text[AN_MPI_TEXT];
    group->mpi->describe(group->mpi->context, code, text);
    return an_error(AN_EIO, "%s: %s", group->place.library, text);
}

static int grow(an_group_requests *r)
{
    int capacity = r->capacity ? 2 * r->capacity : 64;
    uint64_t *requests = realloc(r->requests, (size_t)capacity * sizeof *requests);
    if (requests)
        r->requests = requests;
    an_group_pending *pending = realloc(r->pending, (size_t)capacity * sizeof *pending);
    if (pending)
        r->pending = pending;
    an_group_pending *done = realloc(r->done, (size_t)capacity * sizeof *done);
    if (done)
        r->done = done;
    int *finished = realloc(r->finished, (size_t)capacity * sizeof *finished);
    if (finished)
        r->finished = finished;
    if (!requests || !pending || !done || !finished)
        return an_error(AN_ENOMEM, "out of memory");
    r->capacity = capacity;
    return AN_OK;
}

void an_group_expect(an_group *group, int code, uint64_t request, an_group_finish *finish, void *context, int number)
{
    an_group_requests *r = &group->requests;
    int rc = code ? report_code(group, code) : AN_OK;
    if (!rc && r->count == r->capacity)
        rc = grow(r);
    if (rc) {
        an_group_report(group, rc);
        return;
    }
    r->requests[r->count] = request;
    r->pending[r->count++] = (an_group_pending){finish, context, number};
}

/* Moves those that are done to `done`; the others close up and keep their order. */
static void take(an_group_requests *r, int count)
{
    int kept = 0;
    for (int i = 0; i < count; i++)
        r->done[i] = r->pending[r->finished[i]];
    for (int i = 0; i < r->count; i++) {
        if (!r->requests[i])
            continue;
        r->requests[kept] = r->requests[i];
        r->pending[kept++] = r->pending[i];
    }
    r->count = kept;
}

int an_group_test(an_group *group)
{
    an_group_requests *r = &group->requests;
    int count = 0;
    if (!r->count || r->broken)
        return 0;
    int code = group->mpi->test(group->mpi->context, r->requests, r->count, r->finished, &count);
    if (code) { /* which of them are done is not known, so they cannot be tested again */
        r->broken = true;
        an_group_report(group, report_code(group, code));
        return 0;
    }
    if (count)
        take(r, count);
    for (int i = 0; i < count; i++) {
        an_group_pending done = r->done[i]; /* what it calls may move the lists */
        done.finish(group, done.context, done.number);
    }
    return count;
}

void an_requests_free(an_group_requests *r)
{
    free(r->requests);
    free(r->pending);
    free(r->done);
    free(r->finished);
    *r = (an_group_requests){0};
}
