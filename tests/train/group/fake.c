#include "tests/train/group/fake.h"

#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define RANKS_MAX 8
#define BROKEN 77 /* a code */

typedef enum { SEND, RECEIVE, GATHER, BROADCAST } kind;

/* A message that waits for its receiver, or what a rank has given to a collective. */
typedef struct message {
    struct message *next;
    kind kind;
    an_mpi_channel channel;
    int from, to, tag; /* of collectives: to is not used, tag is the number of the call */
    size_t size;
    uint8_t data[];
} message;

typedef struct request {
    struct request *next; /* of this rank, all that are under way */
    kind kind;
    an_mpi_channel channel;
    int from, tag;
    void *data;
    size_t size;
} request;

typedef struct {
    fake_world *world;
    an_mpi mpi;
    int rank, calls; /* of collectives */
    request *requests;
    atomic_bool stopped, broken, ended;
} fake_rank;

struct fake_world {
    pthread_mutex_t lock;
    int count, each;
    fake_rank ranks[RANKS_MAX];
    message *first, **last; /* in the order in which they were sent */
};

static int begin(void *context, an_mpi_place *out)
{
    const fake_rank *r = context;
    *out = (an_mpi_place){
        .rank = r->rank, .world = r->world->count, .node = r->rank / r->world->each * r->world->each, .tag_max = 32767};
    snprintf(out->library, sizeof out->library, "fake MPI 1.0");
    snprintf(out->host, sizeof out->host, "host%d", out->node);
    return 0;
}

static int end(void *context)
{
    fake_rank *r = context;
    atomic_store(&r->ended, true);
    return 0;
}

static void post(fake_rank *r, kind what, an_mpi_channel channel, const void *data, size_t size, int to, int tag)
{
    message *m = malloc(sizeof *m + size);
    if (!m)
        abort();
    *m = (message){.kind = what, .channel = channel, .from = r->rank, .to = to, .tag = tag, .size = size};
    if (size)
        memcpy(m->data, data, size);
    pthread_mutex_lock(&r->world->lock);
    *r->world->last = m;
    r->world->last = &m->next;
    pthread_mutex_unlock(&r->world->lock);
}

static void expect(fake_rank *r, uint64_t *out, request wanted)
{
    request *made = malloc(sizeof *made);
    if (!made)
        abort();
    *made = wanted;
    made->next = r->requests;
    r->requests = made;
    *out = (uint64_t)(uintptr_t)made;
}

static int send(void *context, an_mpi_channel channel, const void *data, size_t size, int rank, int tag, uint64_t *out)
{
    fake_rank *r = context;
    if (!atomic_load(&r->stopped))
        post(r, SEND, channel, data, size, rank, tag);
    expect(r, out, (request){.kind = SEND});
    return 0;
}

static int receive(void *context, an_mpi_channel channel, void *data, size_t size, int rank, int tag, uint64_t *out)
{
    expect(context, out,
           (request){.kind = RECEIVE, .channel = channel, .from = rank, .tag = tag, .data = data, .size = size});
    return 0;
}

static int gather(void *context, const void *own, size_t size, void *all, uint64_t *out)
{
    fake_rank *r = context;
    if (!atomic_load(&r->stopped))
        post(r, GATHER, 0, own, size, 0, r->calls);
    expect(r, out, (request){.kind = GATHER, .tag = r->calls++, .data = all, .size = size});
    return 0;
}

static int broadcast(void *context, void *data, size_t size, uint64_t *out)
{
    fake_rank *r = context;
    if (!r->rank && !atomic_load(&r->stopped))
        post(r, BROADCAST, 0, data, size, 0, r->calls);
    expect(r, out, (request){.kind = BROADCAST, .tag = r->calls++, .data = data, .size = size});
    return 0;
}

static bool receive_one(fake_rank *r, const request *wanted)
{
    for (message **at = &r->world->first; *at; at = &(*at)->next) {
        message *m = *at;
        if (m->kind != SEND || m->to != r->rank || m->from != wanted->from || m->channel != wanted->channel ||
            m->tag != wanted->tag)
            continue;
        if (m->size > wanted->size)
            abort();
        memcpy(wanted->data, m->data, m->size);
        *at = m->next;
        if (!*at)
            r->world->last = at;
        free(m);
        return true;
    }
    return false;
}

/* What ranks give to collectives stays until the end: all of them read it. */
static bool gather_all(const fake_rank *r, const request *wanted)
{
    int found = 0;
    for (const message *m = r->world->first; m; m = m->next)
        found += m->kind == GATHER && m->tag == wanted->tag;
    if (found < r->world->count)
        return false;
    for (const message *m = r->world->first; m; m = m->next) {
        if (m->kind == GATHER && m->tag == wanted->tag)
            memcpy((uint8_t *)wanted->data + (size_t)m->from * m->size, m->data, m->size);
    }
    return true;
}

static bool take_broadcast(const fake_rank *r, const request *wanted)
{
    for (const message *m = r->world->first; m; m = m->next) {
        if (m->kind != BROADCAST || m->tag != wanted->tag)
            continue;
        if (r->rank)
            memcpy(wanted->data, m->data, m->size);
        return true;
    }
    return false;
}

static bool is_done(fake_rank *r, const request *wanted)
{
    if (wanted->kind == RECEIVE)
        return receive_one(r, wanted);
    if (wanted->kind == GATHER)
        return gather_all(r, wanted);
    return wanted->kind == SEND || take_broadcast(r, wanted);
}

static void forget(fake_rank *r, const request *done)
{
    request **at = &r->requests;
    while (*at != done)
        at = &(*at)->next;
    request *found = *at;
    *at = found->next;
    free(found);
}

static int test(void *context, uint64_t *requests, int count, int *finished, int *finished_count)
{
    fake_rank *r = context;
    *finished_count = 0;
    if (atomic_load(&r->broken))
        return BROKEN;
    if (atomic_load(&r->stopped))
        return 0;
    pthread_mutex_lock(&r->world->lock);
    for (int i = 0; i < count; i++) {
        request *wanted = (request *)(uintptr_t)requests[i];
        if (!is_done(r, wanted))
            continue;
        forget(r, wanted);
        requests[i] = 0;
        finished[(*finished_count)++] = i;
    }
    pthread_mutex_unlock(&r->world->lock);
    return 0;
}

static void describe(void *context, int code, char text[AN_MPI_TEXT])
{
    (void)context;
    snprintf(text, AN_MPI_TEXT, "code %d", code);
}

fake_world *fake_create(int ranks, int each)
{
    fake_world *world = calloc(1, sizeof *world);
    if (!world || ranks > RANKS_MAX)
        abort();
    pthread_mutex_init(&world->lock, NULL);
    world->count = ranks;
    world->each = each;
    world->last = &world->first;
    for (int i = 0; i < ranks; i++) {
        fake_rank *r = &world->ranks[i];
        r->world = world;
        r->rank = i;
        r->mpi = (an_mpi){r, begin, end, send, receive, gather, broadcast, test, describe};
    }
    return world;
}

void fake_free(fake_world *world)
{
    for (message *m = world->first, *next; m; m = next) {
        next = m->next;
        free(m);
    }
    for (int i = 0; i < world->count; i++) {
        while (world->ranks[i].requests)
            forget(&world->ranks[i], world->ranks[i].requests);
    }
    pthread_mutex_destroy(&world->lock);
    free(world);
}

const an_mpi *fake_mpi(fake_world *world, int rank)
{
    return &world->ranks[rank].mpi;
}

void fake_stop(fake_world *world, int rank, bool stopped)
{
    atomic_store(&world->ranks[rank].stopped, stopped);
}

void fake_break(fake_world *world, int rank)
{
    atomic_store(&world->ranks[rank].broken, true);
}

bool fake_has_ended(fake_world *world, int rank)
{
    return atomic_load(&world->ranks[rank].ended);
}
