/* A bucket under way. All of this runs on the group's thread. */
#include <string.h>

#include "train/group/reduce_private.h"

static void advance(an_group *group, an_reduce_bucket *b, int owner);

static an_reduce_lane *lane_of(an_reduce_bucket *b, int owner, int segment)
{
    return &b->lanes[owner * AN_REDUCE_LANES + (segment - b->first[owner]) % AN_REDUCE_LANES];
}

static int owner_of(const an_reduce_bucket *b, int segment)
{
    int owner = 0;
    while (segment >= b->first[owner + 1])
        owner++;
    return owner;
}

static size_t bytes_of(const an_reduce_bucket *b, int segment)
{
    return b->segments[segment].count * (b->reduction->bf16 ? sizeof(uint16_t) : sizeof(float));
}

static void send(an_group *group, an_reduce_bucket *b, int segment, const void *data, int rank, an_group_finish *finish)
{
    uint64_t request = 0;
    int code = group->mpi->send(group->mpi->context, AN_MPI_GRADIENTS, data, bytes_of(b, segment), rank,
                                b->tag + segment, &request);
    an_group_expect(group, code, request, finish, b, segment);
}

static void receive(an_group *group, an_reduce_bucket *b, int segment, void *data, int rank, an_group_finish *finish)
{
    uint64_t request = 0;
    int code = group->mpi->receive(group->mpi->context, AN_MPI_GRADIENTS, data, bytes_of(b, segment), rank,
                                   b->tag + segment, &request);
    an_group_expect(group, code, request, finish, b, segment);
}

static void complete(an_group *group, an_reduce_bucket *b, int segment, int owner)
{
    lane_of(b, owner, segment)->busy = false;
    if (++b->finished < b->count) {
        advance(group, b, owner);
        return;
    }
    b->reduction->moving--;
    pthread_mutex_lock(&group->lock);
    b->state = AN_BUCKET_IDLE;
    b->reduction->sent += b->sent;
    pthread_cond_broadcast(&group->done);
    pthread_mutex_unlock(&group->lock);
}

/* The owner's side: values come, the sum goes. */

static void sum_sent(an_group *group, void *context, int segment)
{
    an_reduce_bucket *b = context;
    if (!--lane_of(b, group->place.rank, segment)->missing)
        complete(group, b, segment, group->place.rank);
}

static void add_up(an_group *group, an_reduce_bucket *b, int segment)
{
    const an_reduce_lane *lane = lane_of(b, group->place.rank, segment);
    const an_reduce_segment *s = &b->segments[segment];
    int rank = group->place.rank, world = group->place.world;
    size_t apart = b->reduction->segment;
    an_reduce_sum(s->values, lane->memory, apart, rank, world, s->count, b->reduction->bf16);
    if (!b->reduction->bf16)
        return;
    uint16_t *sum = (uint16_t *)(void *)lane->memory + apart * ((size_t)world - 1);
    an_reduce_narrow(sum, s->values, s->count);
    an_reduce_widen(s->values, sum, s->count);
}

static void values_received(an_group *group, void *context, int segment)
{
    an_reduce_bucket *b = context;
    an_reduce_lane *lane = lane_of(b, group->place.rank, segment);
    int world = group->place.world;
    const void *sum = b->segments[segment].values;
    if (--lane->missing)
        return;
    add_up(group, b, segment);
    if (b->reduction->bf16)
        sum = lane->memory + b->reduction->segment * sizeof(uint16_t) * ((size_t)world - 1);
    lane->missing = world - 1;
    for (int rank = 0; rank < world; rank++) {
        if (rank != group->place.rank)
            send(group, b, segment, sum, rank, sum_sent);
    }
}

static void begin_own(an_group *group, an_reduce_bucket *b, int segment)
{
    an_reduce_lane *lane = lane_of(b, group->place.rank, segment);
    size_t apart = b->reduction->segment * (b->reduction->bf16 ? sizeof(uint16_t) : sizeof(float));
    uint8_t *place = lane->memory;
    lane->missing = group->place.world - 1;
    for (int rank = 0; rank < group->place.world; rank++) {
        if (rank == group->place.rank)
            continue;
        receive(group, b, segment, place, rank, values_received);
        place += apart;
    }
}

/* The others' side: values go, the sum comes. */

static void sum_received(an_group *group, void *context, int segment)
{
    an_reduce_bucket *b = context;
    int owner = owner_of(b, segment);
    const an_reduce_segment *s = &b->segments[segment];
    if (b->reduction->bf16)
        an_reduce_widen(s->values, (const uint16_t *)(const void *)lane_of(b, owner, segment)->memory, s->count);
    complete(group, b, segment, owner);
}

/* Only now may the sum take the values' place. */
static void values_sent(an_group *group, void *context, int segment)
{
    an_reduce_bucket *b = context;
    int owner = owner_of(b, segment);
    void *place = b->reduction->bf16 ? (void *)lane_of(b, owner, segment)->memory : b->segments[segment].values;
    receive(group, b, segment, place, owner, sum_received);
}

static void begin_other(an_group *group, an_reduce_bucket *b, int segment, int owner)
{
    const an_reduce_segment *s = &b->segments[segment];
    const void *data = s->values;
    if (b->reduction->bf16) {
        uint8_t *memory = lane_of(b, owner, segment)->memory;
        an_reduce_narrow((uint16_t *)(void *)memory, s->values, s->count);
        data = memory;
    }
    send(group, b, segment, data, owner, values_sent);
}

/* Begins as many of an owner's segments as there are free lanes. */
static void advance(an_group *group, an_reduce_bucket *b, int owner)
{
    while (b->next[owner] < b->first[owner + 1]) {
        int segment = b->next[owner];
        an_reduce_lane *lane = lane_of(b, owner, segment);
        if (lane->busy)
            return;
        lane->busy = true;
        b->next[owner]++;
        if (owner == group->place.rank)
            begin_own(group, b, segment);
        else
            begin_other(group, b, segment, owner);
    }
}

/* Each rank begins with the owner after it, so that not all send to the same one. */
void an_reduce_begin(an_group *group, an_reduce_bucket *b)
{
    int world = group->place.world;
    b->finished = 0;
    for (int owner = 0; owner < world; owner++)
        b->next[owner] = b->first[owner];
    b->reduction->moving++;
    for (int i = 0; i < world; i++)
        advance(group, b, (group->place.rank + i) % world);
}
