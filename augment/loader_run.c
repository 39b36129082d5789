#include "augment/loader_internal.h"

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

typedef struct {
    uint64_t batch;
    uint32_t position;
    an_order order;
} cursor;

static void item_aim(an_loader *l, cursor *at, item *it)
{
    if (at->position == 0)
        at->order.epoch = an_loader_epoch_of(l, at->batch);
    uint64_t record = an_order_at(&at->order, an_loader_first_of(l, at->batch) + at->position);
    it->record = l->subset ? l->subset[record] : record;
    it->batch = at->batch;
    it->position = at->position;
    it->read = (an_read){
        .offset = l->index[it->record].offset, .length = l->index[it->record].length, .buffer = it->buffer, .user = it};
    if (++at->position == an_loader_count_of(l, at->batch)) {
        at->position = 0;
        at->batch++;
    }
}

void an_loader_wake_workers(an_loader *l)
{
    int wanted = l->ready.count < l->workers_waiting ? l->ready.count : l->workers_waiting;
    for (int i = 0; i < wanted; i++)
        pthread_cond_signal(&l->work);
}

/* Hand what was read to the workers; the lock is held. */
static void dispatch(an_loader *l, item_list *done)
{
    for (item *it; (it = an_item_list_pop(done));) {
        l->stats.bytes_read += it->read.length;
        an_item_list_push(an_loader_is_open(l, it->batch) ? &l->ready : &l->parked, it);
    }
    an_loader_wake_workers(l);
}

/* Deliver what was read, sleep while there is nothing to submit and nothing in flight, then aim free items at the next
 * records, as many as the depth allows. False: stop. */
static bool exchange(an_loader *l, item_list *done, item_list *todo, int in_flight, cursor *at)
{
    pthread_mutex_lock(&l->lock);
    dispatch(l, done);
    while (!l->stop && in_flight + todo->count == 0 && (at->batch >= l->total || l->free.count < l->room_mark)) {
        uint64_t start = an_clock_ns();
        l->reader_waiting = true;
        pthread_cond_wait(&l->room, &l->lock);
        l->reader_waiting = false;
        if (at->batch < l->total)
            l->stats.reader_blocked_ns += an_loader_since(l, start);
    }
    while (at->batch < l->total && in_flight + todo->count < l->options.depth && l->free.head) {
        item *it = an_item_list_pop(&l->free);
        item_aim(l, at, it);
        an_item_list_push(todo, it);
    }
    bool go = !l->stop;
    pthread_mutex_unlock(&l->lock);
    return go;
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
    item_list done, todo;
    int in_flight = 0, rc = AN_OK;
    cursor at = {
        .order = {.kind = l->options.order, .count = l->count, .block = l->options.block, .seed = l->options.seed}};
    an_item_list_init(&done);
    an_item_list_init(&todo);
    while (rc == AN_OK && exchange(l, &done, &todo, in_flight, &at)) {
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
    uint8_t *out = (uint8_t *)s->batch.data + it->position * an_sampler_bytes(l->sampler);
    return an_sampler_make(l->sampler, w->scratch, &record, &draw, out);
}

/* The lock is held. The earliest failing sample of a batch names it, whichever worker came first. */
static void slot_finish(an_loader *l, slot *s, const item *it, int rc)
{
    if (rc != AN_OK && (s->error.code == AN_OK || it->position < s->error_position)) {
        an_error_save(&s->error, rc);
        s->error_position = it->position;
    }
    if (--s->missing > 0)
        return;
    s->done = true;
    if (l->consumer_waiting)
        pthread_cond_broadcast(&l->delivery);
}

/* The lock is held. Waiting counts against the consumer if records are parked for want of a slot, else against reading.
 */
static item *take(an_loader *l)
{
    while (!l->stop && !l->ready.head) {
        uint64_t start = an_clock_ns();
        bool parked = l->parked.count > 0;
        l->workers_waiting++;
        pthread_cond_wait(&l->work, &l->lock);
        l->workers_waiting--;
        *(parked ? &l->stats.worker_wait_slot_ns : &l->stats.worker_wait_read_ns) += an_loader_since(l, start);
    }
    return l->stop ? NULL : an_item_list_pop(&l->ready);
}

void *an_loader_worker_run(void *argument)
{
    worker *w = argument;
    an_loader *l = w->loader;
    pthread_mutex_lock(&l->lock);
    for (item *it; (it = take(l));) {
        pthread_mutex_unlock(&l->lock);
        uint64_t start = an_clock_ns();
        slot *s = &l->slots[it->batch % (uint64_t)l->options.slots];
        if (l->options.worker_hook)
            l->options.worker_hook(l->options.worker_hook_context, w->number);
        int rc = item_make(l, w, it, s);
        if (rc != AN_OK)
            an_loader_name_error(l->options.dataset, rc, it->record);
        pthread_mutex_lock(&l->lock);
        l->stats.worker_busy_ns += an_loader_since(l, start);
        slot_finish(l, s, it, rc);
        an_item_list_push(&l->free, it);
        if (l->reader_waiting && l->free.count >= l->room_mark)
            pthread_cond_signal(&l->room);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}
