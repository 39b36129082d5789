#include "augment/loader_private.h"

#include "base/clock.h"

void an_item_list_init(item_list *list)
{
    *list = (item_list){.tail = &list->head};
}

void an_item_list_push(item_list *list, item *it)
{
    it->next = NULL;
    *list->tail = it;
    list->tail = &it->next;
    list->count++;
}

item *an_item_list_pop(item_list *list)
{
    item *it = list->head;
    if (!it)
        return NULL;
    list->head = it->next;
    if (!list->head)
        list->tail = &list->head;
    list->count--;
    return it;
}

uint64_t an_loader_since(const an_loader *l, uint64_t start_ns)
{
    uint64_t from = start_ns > l->started_ns ? start_ns : l->started_ns, now = an_clock_ns();
    return now > from ? now - from : 0;
}

/* ---- the reading thread ---------------------------------------------------------------------------------------- */

int an_loader_workers_wanted(const an_loader *l)
{
    return l->ready.count < l->workers_waiting ? l->ready.count : l->workers_waiting;
}

void an_loader_wake_workers(an_loader *l, int count)
{
    for (int i = 0; i < count; i++)
        pthread_cond_signal(&l->work);
}

/* Hand what was read to the workers; the lock is held. Returns how many of them to wake. */
static int dispatch(an_loader *l, item_list *done)
{
    for (item *it; (it = an_item_list_pop(done));) {
        l->stats.bytes_read += it->read.length;
        an_item_list_push(an_loader_is_open(l, it->batch) ? &l->ready : &l->parked, it);
    }
    return an_loader_workers_wanted(l);
}

/* Sleep while there is nothing to submit and nothing in flight; the lock is held. */
static void await_room(an_loader *l, const an_loader_plan *plan, int busy)
{
    while (!l->stop && busy == 0 && (!an_loader_plan_more(l, plan) || l->free.count < l->room_mark)) {
        uint64_t start = an_clock_ns();
        l->reader_waiting = true;
        pthread_cond_wait(&l->room, &l->lock);
        l->reader_waiting = false;
        if (an_loader_plan_more(l, plan))
            l->stats.reader_blocked_ns += an_loader_since(l, start);
    }
}

/* Deliver what was read, wait for room, and take free items, as many as the depth allows. False: stop. */
static bool exchange(an_loader *l, item_list *done, item_list *taken, int busy, const an_loader_plan *plan)
{
    pthread_mutex_lock(&l->lock);
    int wanted = dispatch(l, done);
    if (wanted > 0) {
        pthread_mutex_unlock(&l->lock);
        an_loader_wake_workers(l, wanted);
        pthread_mutex_lock(&l->lock);
    }
    await_room(l, plan, busy);
    while (an_loader_plan_more(l, plan) && busy + taken->count < l->options.depth && l->free.head)
        an_item_list_push(taken, an_item_list_pop(&l->free));
    bool go = !l->stop;
    pthread_mutex_unlock(&l->lock);
    return go;
}

/* Aim what was taken at the next records. What is left over at the very end stays in taken. */
static void aim_all(an_loader *l, item_list *taken, item_list *todo, an_loader_plan *plan)
{
    while (taken->head && an_loader_plan_more(l, plan)) {
        item *it = an_item_list_pop(taken);
        an_loader_plan_aim(l, plan, it);
        an_item_list_push(todo, it);
    }
    an_loader_plan_advise(l, plan);
}

static int submit(an_loader *l, item_list *todo, int *in_flight)
{
    while (todo->head) {
        int rc = an_reader_submit(l->reader, &todo->head->read);
        if (rc == AN_AGAIN)
            return AN_OK;
        if (rc != AN_OK)
            return rc;
        an_item_list_pop(todo);
        ++*in_flight;
    }
    return AN_OK;
}

/* All that is complete; if nothing is, wait for one. */
static int collect(an_loader *l, item_list *done, int *in_flight)
{
    an_read *read;
    int rc;
    while ((rc = an_reader_poll(l->reader, &read)) == AN_OK) {
        an_item_list_push(done, read->user);
        --*in_flight;
    }
    if (rc < 0 || done->count > 0 || *in_flight == 0)
        return rc < 0 ? rc : AN_OK;
    uint64_t start = an_clock_ns();
    rc = an_reader_wait(l->reader, &read);
    if (rc != AN_OK)
        return rc < 0 ? rc : an_error(AN_EINTERNAL, "the reader lost %d reads", *in_flight);
    an_item_list_push(done, read->user);
    --*in_flight;
    pthread_mutex_lock(&l->lock);
    l->stats.reader_wait_ns += an_loader_since(l, start);
    pthread_mutex_unlock(&l->lock);
    return AN_OK;
}

static void fail(an_loader *l, int code)
{
    an_error_prefix(code, "dataset '%s'", an_dataset_path(l->options.dataset));
    pthread_mutex_lock(&l->lock);
    an_error_save(&l->failure, code);
    pthread_cond_broadcast(&l->delivery);
    pthread_mutex_unlock(&l->lock);
}

void *an_loader_reading_run(void *argument)
{
    an_loader *l = argument;
    item_list done, taken, todo;
    int in_flight = 0, rc = AN_OK;
    an_loader_plan plan;
    an_loader_plan_begin(l, &plan);
    an_item_list_init(&done);
    an_item_list_init(&taken);
    an_item_list_init(&todo);
    while (rc == AN_OK && exchange(l, &done, &taken, in_flight + todo.count, &plan)) {
        aim_all(l, &taken, &todo, &plan);
        rc = submit(l, &todo, &in_flight);
        if (rc == AN_OK)
            rc = collect(l, &done, &in_flight);
    }
    if (rc != AN_OK)
        fail(l, rc);
    return NULL;
}

/* ---- workers ---------------------------------------------------------------------------------------------------- */

static int item_make(an_loader *l, worker *w, const item *it, slot *s)
{
    an_record record;
    an_sample_draw draw;
    if (it->read.status != AN_OK)
        return an_reader_read_error(l->reader, &it->read);
    int rc = an_record_parse(it->read.data, it->read.length, &record);
    if (rc == AN_OK && l->options.verify)
        rc = an_record_verify(&record);
    if (rc != AN_OK)
        return rc;
    an_sampler_draw(l->sampler, l->options.seed, s->batch.epoch, it->record, &draw);
    s->batch.labels[it->position] = record.header.label;
    s->batch.indices[it->position] = it->record;
    s->batch.draws[it->position] = (an_image_draw){
        .shift = {draw.shift[0], draw.shift[1], draw.shift[2]}, .x = draw.x, .y = draw.y, .flip = draw.flip};
    uint8_t *out = (uint8_t *)s->batch.data + it->position * an_sampler_bytes(l->sampler);
    return an_sampler_make(l->sampler, w->scratch, &record, &draw, out);
}

/* The earliest failing sample of a batch names it, whichever worker came first. */
static void slot_fail(an_loader *l, slot *s, const item *it, int rc)
{
    an_loader_name_error(l->options.dataset, rc, it->record);
    pthread_mutex_lock(&l->lock);
    if (s->error.code == AN_OK || it->position < s->error_position) {
        an_error_save(&s->error, rc);
        s->error_position = it->position;
    }
    pthread_mutex_unlock(&l->lock);
}

/* A few items at a time, so that the lock is rare beside samples that take microseconds; not so many that others idle.
 */
#define CHUNK 4

/* The lock is held. Waiting counts against the consumer if records are parked for want of a slot, else against reading.
 * Returns 0 to stop. */
static int take(an_loader *l, item *mine[CHUNK])
{
    int count = 0;
    while (!l->stop && !l->ready.head) {
        uint64_t start = an_clock_ns();
        bool parked = l->parked.count > 0;
        l->workers_waiting++;
        pthread_cond_wait(&l->work, &l->lock);
        l->workers_waiting--;
        *(parked ? &l->stats.worker_wait_slot_ns : &l->stats.worker_wait_read_ns) += an_loader_since(l, start);
    }
    int fair = l->ready.count / l->options.threads;
    while (!l->stop && l->ready.head && count < CHUNK && (count == 0 || count < fair))
        mine[count++] = an_item_list_pop(&l->ready);
    return count;
}

static slot *slot_of(an_loader *l, const item *it)
{
    return &l->slots[it->batch % (uint64_t)l->options.slots];
}

static void work(an_loader *l, worker *w, const item *it)
{
    slot *s = slot_of(l, it);
    if (l->options.worker_hook)
        l->options.worker_hook(l->options.worker_hook_context, w->number);
    int rc = item_make(l, w, it, s);
    if (rc != AN_OK)
        slot_fail(l, s, it, rc);
}

/* The lock is held. */
static void give_back(an_loader *l, item *mine[CHUNK], int count)
{
    for (int i = 0; i < count; i++) {
        slot *s = slot_of(l, mine[i]);
        if (--s->missing == 0) {
            s->done = true;
            if (l->consumer_waiting)
                pthread_cond_broadcast(&l->delivery);
        }
        an_item_list_push(&l->free, mine[i]);
    }
    if (l->reader_waiting && l->free.count >= l->room_mark)
        pthread_cond_signal(&l->room);
}

void *an_loader_worker_run(void *argument)
{
    worker *w = argument;
    an_loader *l = w->loader;
    item *mine[CHUNK];
    pthread_mutex_lock(&l->lock);
    for (int count; (count = take(l, mine)) > 0;) {
        pthread_mutex_unlock(&l->lock);
        uint64_t start = an_clock_ns();
        for (int i = 0; i < count; i++)
            work(l, w, mine[i]);
        pthread_mutex_lock(&l->lock);
        l->stats.worker_busy_ns += an_loader_since(l, start);
        give_back(l, mine, count);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}
