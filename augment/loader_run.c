/* The threads: one that reads, and the workers. The DESIGN stands in loader.c. */
#include "augment/loader_private.h"

#include "base/clock.h"

void an_loader_list_init(an_loader_list *list)
{
    *list = (an_loader_list){.tail = &list->head};
}

void an_loader_list_push(an_loader_list *list, an_loader_item *it)
{
    it->next = NULL;
    *list->tail = it;
    list->tail = &it->next;
    list->count++;
}

an_loader_item *an_loader_list_pop(an_loader_list *list)
{
    an_loader_item *it = list->head;
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

/* Hand what was read to the workers. Returns how many of them to wake. The lock is held. */
static int dispatch(an_loader *l, an_loader_list *done)
{
    for (an_loader_item *it; (it = an_loader_list_pop(done));) {
        l->stats.bytes_read += it->read.length;
        an_loader_list_push(an_loader_is_open(l, it->batch) ? &l->ready : &l->parked, it);
    }
    return an_loader_workers_wanted(l);
}

/* Sleep while there is nothing to submit and nothing in flight. The lock is held. */
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

/* The reading thread's turn under the lock: hand over the records in `done`, wait until there are free items, and take
 * as many of them as the depth allows. False: the loader stops. */
static bool exchange(an_loader *l, an_loader_list *done, an_loader_list *taken, int busy, const an_loader_plan *plan)
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
        an_loader_list_push(taken, an_loader_list_pop(&l->free));
    bool go = !l->stop;
    pthread_mutex_unlock(&l->lock);
    return go;
}

/* Make the items that were taken reads of the next records. At the end of the last epoch some stay in taken. */
static void aim_all(an_loader *l, an_loader_list *taken, an_loader_list *todo, an_loader_plan *plan)
{
    while (taken->head && an_loader_plan_more(l, plan)) {
        an_loader_item *it = an_loader_list_pop(taken);
        an_loader_plan_aim(l, plan, it);
        an_loader_list_push(todo, it);
    }
    an_loader_plan_advise(l, plan);
}

static int submit(an_loader *l, an_loader_list *todo, int *in_flight)
{
    while (todo->head) {
        int rc = an_reader_submit(l->reader, &todo->head->read);
        if (rc == AN_AGAIN)
            return AN_OK;
        if (rc)
            return rc;
        an_loader_list_pop(todo);
        ++*in_flight;
    }
    return AN_OK;
}

/* Wait for one read to complete. */
static int collect_one(an_loader *l, an_loader_list *done, int *in_flight)
{
    an_read *read;
    uint64_t start = an_clock_ns();
    int rc = an_reader_wait(l->reader, &read);
    if (rc < 0)
        return rc;
    if (rc)
        return an_error(AN_EINTERNAL, "the reader lost %d reads", *in_flight);
    an_loader_list_push(done, read->user);
    --*in_flight;
    pthread_mutex_lock(&l->lock);
    l->stats.reader_wait_ns += an_loader_since(l, start);
    pthread_mutex_unlock(&l->lock);
    return AN_OK;
}

/* Take every read that is complete. If none is and some are in flight, wait for one. */
static int collect(an_loader *l, an_loader_list *done, int *in_flight)
{
    an_read *read;
    int rc = an_reader_poll(l->reader, &read);
    while (!rc) {
        an_loader_list_push(done, read->user);
        --*in_flight;
        rc = an_reader_poll(l->reader, &read);
    }
    if (rc < 0)
        return rc;
    if (done->count > 0 || *in_flight == 0)
        return AN_OK;
    return collect_one(l, done, in_flight);
}

static void reading_fail(an_loader *l, int rc)
{
    an_error_prefix(rc, "dataset '%s'", an_dataset_path(l->options.dataset));
    pthread_mutex_lock(&l->lock);
    an_error_save(&l->reader_failure, rc);
    pthread_cond_broadcast(&l->delivery);
    pthread_mutex_unlock(&l->lock);
}

void *an_loader_reading_run(void *argument)
{
    an_loader *l = argument;
    an_loader_list done, taken, todo;
    int in_flight = 0, rc = 0;
    an_loader_plan plan;
    an_loader_plan_begin(l, &plan);
    an_loader_list_init(&done);
    an_loader_list_init(&taken);
    an_loader_list_init(&todo);
    while (!rc && exchange(l, &done, &taken, in_flight + todo.count, &plan)) {
        aim_all(l, &taken, &todo, &plan);
        rc = submit(l, &todo, &in_flight);
        if (!rc)
            rc = collect(l, &done, &in_flight);
    }
    if (rc)
        reading_fail(l, rc);
    return NULL;
}

/* ---- workers ---------------------------------------------------------------------------------------------------- */

void an_loader_note_sample(const an_loader *l, const an_loader_item *it, an_loader_slot *s, const an_record *record,
                           an_sample_draw *draw)
{
    uint64_t epoch = s->batch.epoch + (it->position >= s->batch.count - s->batch.carried);
    an_sampler_draw(l->sampler, l->options.seed, epoch, it->drawn, draw);
    s->batch.labels[it->position] = record->header.label;
    s->batch.indices[it->position] = it->record;
    s->batch.draws[it->position] = an_sample_image_draw(draw);
}

static int item_make(an_loader *l, an_loader_worker *w, an_loader_item *it, an_loader_slot *s)
{
    an_record record;
    an_sample_draw draw;
    int rc = an_loader_parse(l, it, &record);
    if (!rc && l->options.verify)
        rc = an_record_verify(&record);
    if (rc)
        return rc;
    an_loader_note_sample(l, it, s, &record, &draw);
    uint8_t *out = (uint8_t *)s->batch.data + it->position * an_sampler_bytes(l->sampler);
    return an_sampler_make(l->sampler, w->scratch, &record, &draw, out);
}

/* Of the samples of a batch that fail, the first in the batch is reported, whichever worker came first. */
static void slot_fail(an_loader *l, an_loader_slot *s, const an_loader_item *it, int rc)
{
    an_loader_name_error(l->options.dataset, rc, it->record);
    pthread_mutex_lock(&l->lock);
    if (!s->error.code || it->position < s->error_position) {
        an_error_save(&s->error, rc);
        s->error_position = it->position;
        s->error_record = it->record;
    }
    pthread_mutex_unlock(&l->lock);
}

/* Items that a worker takes at a time: a few, because a sample may take only microseconds, and taking the lock for each
 * would cost too much; not many, lest other workers have nothing to do. A payload takes a hundredth of the time. */
#define CHUNK_SAMPLES 4
#define CHUNK_PAYLOADS 16
#define CHUNK CHUNK_PAYLOADS

/* Take the next items, waiting for them. A wait is counted as one for a slot if records are parked for want of one,
 * else as one for records. Returns how many; 0: stop. The lock is held. */
static int take(an_loader *l, an_loader_item *mine[CHUNK])
{
    int count = 0, most = l->block_size ? CHUNK_PAYLOADS : CHUNK_SAMPLES;
    while (!l->stop && !l->ready.head) {
        uint64_t start = an_clock_ns();
        bool parked = l->parked.count > 0;
        l->workers_waiting++;
        pthread_cond_wait(&l->work, &l->lock);
        l->workers_waiting--;
        *(parked ? &l->stats.worker_wait_slot_ns : &l->stats.worker_wait_read_ns) += an_loader_since(l, start);
    }
    int fair = l->ready.count / l->options.threads;
    while (!l->stop && l->ready.head && count < most && (count == 0 || count < fair))
        mine[count++] = an_loader_list_pop(&l->ready);
    return count;
}

/* Without the lock: the entry stays as it is until the batch, which lacks this item, was delivered. */
static an_loader_slot *slot_of(const an_loader *l, const an_loader_item *it)
{
    return l->open[it->batch % (uint64_t)l->slots_max];
}

/* next: what this worker does after it; NULL: not known. */
static void work(an_loader *l, an_loader_worker *w, an_loader_item *it, const an_loader_item *next)
{
    an_loader_slot *s = slot_of(l, it);
    if (l->options.worker_hook)
        l->options.worker_hook(l->options.worker_hook_context, w->number);
    int rc = l->block_size ? an_loader_payload_make(l, w, it, next, s) : item_make(l, w, it, s);
    if (rc)
        slot_fail(l, s, it, rc);
}

/* Whom to wake. */
typedef struct {
    bool consumers, reader;
} wakes;

/* Count the samples as done and free their items. The lock is held. */
static wakes give_back(an_loader *l, an_loader_item *mine[CHUNK], int count)
{
    wakes wanted = {0};
    for (int i = 0; i < count; i++) {
        an_loader_slot *s = slot_of(l, mine[i]);
        an_loader_count_in(l, mine[i]);
        if (--s->missing == 0) {
            s->done = true;
            if (l->block_size)
                an_loader_payload_close(s);
            wanted.consumers |= l->consumers_waiting > 0;
        }
        an_loader_list_push(&l->free, mine[i]);
    }
    wanted.reader = l->reader_waiting && l->free.count >= l->room_mark;
    return wanted;
}

/* Without the lock: the first thing that they do is to take it. */
static void wake(an_loader *l, wakes wanted)
{
    if (wanted.consumers)
        pthread_cond_broadcast(&l->delivery);
    if (wanted.reader)
        pthread_cond_signal(&l->room);
}

void *an_loader_worker_run(void *argument)
{
    an_loader_worker *w = argument;
    an_loader *l = w->loader;
    an_loader_item *mine[CHUNK];
    pthread_mutex_lock(&l->lock);
    for (int count; (count = take(l, mine)) > 0;) {
        pthread_mutex_unlock(&l->lock);
        uint64_t start = an_clock_ns();
        for (int i = 0; i < count; i++)
            work(l, w, mine[i], i + 1 < count ? mine[i + 1] : NULL);
        pthread_mutex_lock(&l->lock);
        l->stats.worker_busy_ns += an_loader_since(l, start);
        wakes wanted = give_back(l, mine, count);
        if (!wanted.consumers && !wanted.reader)
            continue;
        pthread_mutex_unlock(&l->lock);
        wake(l, wanted);
        pthread_mutex_lock(&l->lock);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}
