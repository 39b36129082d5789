/* What the reading thread reads next, and what it tells the kernel beforehand.
 *
 * Order block exists because disks are fast where they read neighbours. Through the page cache the kernel is asked to
 * read the next block as a whole, and the shuffled reads find it there. With O_DIRECT the records of a block are read
 * in the order of the file, where the kernel's block layer joins those that are queued together, and wait in their
 * items for the batches they belong to. */
#include <fcntl.h>
#include <string.h>

#include "augment/loader_private.h"

void an_loader_plan_begin(const an_loader *l, an_loader_plan *plan)
{
    *plan = (an_loader_plan){
        .block = UINT64_MAX,
        .ahead = UINT64_MAX,
        .order = {.kind = l->options.order, .count = l->count, .block = l->options.block, .seed = l->options.seed}};
    if (l->total > 0)
        plan->span = an_loader_span_of(l, 0);
}

bool an_loader_plan_more(const an_loader *l, const an_loader_plan *plan)
{
    return plan->next < plan->planned || plan->batch < l->total;
}

/* When a record is the first of its block, the block after it shall be read ahead: see an_loader_plan_advise. */
static void note_block(const an_loader *l, an_loader_plan *plan, uint64_t position, uint64_t record)
{
    uint64_t block = record / l->options.block;
    if (block == plan->block)
        return;
    plan->first = plan->block == UINT64_MAX;
    plan->ahead = position + l->options.block;
    plan->block = block;
}

/* What the order calls the record at a position of the epoch. */
static uint64_t number_at(const an_loader *l, const an_order *order, uint64_t position)
{
    if (l->weighted)
        return an_weighted_at(l->weighted, order->seed, order->epoch, position);
    return an_order_at(order, position);
}

/* The next place in the order of delivery. *number: what the order called the record, its place in the subset if there
 * is one. */
static an_loader_place peek(const an_loader *l, an_loader_plan *plan, uint64_t *number)
{
    const an_loader_span *span = &plan->span;
    bool carried = plan->position >= span->count - span->carried;
    uint64_t epoch = span->epoch + carried;
    if (epoch != plan->order.epoch)
        plan->block = UINT64_MAX;
    plan->order.epoch = epoch;
    uint64_t position = span->first + plan->position;
    if (position >= l->count)
        position %= l->count;
    *number = number_at(l, &plan->order, position);
    if (l->advice_fd >= 0)
        note_block(l, plan, position, *number);
    uint64_t record = l->subset ? l->subset[*number] : *number;
    return (an_loader_place){record, l->weighted ? position : record, plan->batch, plan->position};
}

static void step(const an_loader *l, an_loader_plan *plan)
{
    if (++plan->position < plan->span.count)
        return;
    plan->position = 0;
    if (++plan->batch < l->total)
        plan->span = an_loader_span_of(l, plan->batch);
}

/* Insert a place so that the window stays sorted by offset in the file. Windows are short enough for insertion. */
static void insert(an_loader *l, an_loader_plan *plan, an_loader_place place)
{
    int low = 0, high = plan->planned;
    while (low < high) {
        int middle = (low + high) / 2;
        if (l->index[l->places[middle].record].offset < l->index[place.record].offset)
            low = middle + 1;
        else
            high = middle;
    }
    memmove(l->places + low + 1, l->places + low, (size_t)(plan->planned - low) * sizeof place);
    l->places[low] = place;
    plan->planned++;
}

/* Fill the window with the next records in the order of delivery that lie in one block, as many as fit. */
static void fill(an_loader *l, an_loader_plan *plan)
{
    uint64_t block = UINT64_MAX;
    plan->next = plan->planned = 0;
    while (plan->batch < l->total && plan->planned < l->window) {
        uint64_t number;
        an_loader_place place = peek(l, plan, &number);
        if (l->window > 1 && plan->planned > 0 && number / l->options.block != block)
            return;
        block = l->window > 1 ? number / l->options.block : 0;
        insert(l, plan, place);
        step(l, plan);
    }
}

void an_loader_plan_aim(an_loader *l, an_loader_plan *plan, an_loader_item *it)
{
    if (plan->next == plan->planned)
        fill(l, plan);
    const an_loader_place *place = &l->places[plan->next++];
    const an_index_entry *entry = &l->index[place->record];
    it->record = place->record;
    it->drawn = place->drawn;
    it->batch = place->batch;
    it->position = place->position;
    it->read = (an_read){.offset = entry->offset, .length = entry->length, .buffer = it->buffer, .user = it};
}

static void advise(const an_loader *l, const an_loader_plan *plan, uint64_t position)
{
    if (position >= l->count)
        return;
    uint64_t first = an_order_at(&plan->order, position) / l->options.block * l->options.block;
    uint64_t last = l->count - first < l->options.block ? l->count - 1 : first + l->options.block - 1;
    uint64_t start = l->index[first].offset, end = l->index[last].offset + l->index[last].length;
    if (end > start)
        (void)posix_fadvise(l->advice_fd, (off_t)start, (off_t)(end - start), POSIX_FADV_WILLNEED);
}

/* Whether the kernel follows the advice changes no byte of a batch. */
void an_loader_plan_advise(const an_loader *l, an_loader_plan *plan)
{
    if (plan->ahead == UINT64_MAX)
        return;
    if (plan->first)
        advise(l, plan, plan->ahead - l->options.block);
    advise(l, plan, plan->ahead);
    plan->ahead = UINT64_MAX;
}
