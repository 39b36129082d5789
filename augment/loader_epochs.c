/* Which positions of which epoch a batch is made of, and how many batches there are. */
#include "augment/loader_private.h"

/* A step of all ranks, by the first image that it takes of its epoch's order. */
typedef struct {
    uint64_t epoch, step, first;
    bool last; /* of the epoch, as far as this rank takes part */
} whole_step;

static uint64_t images_of_step(const an_loader *l)
{
    return (uint64_t)l->options.batch * l->options.world;
}

static whole_step step_of(const an_loader *l, uint64_t batch)
{
    const an_loader_options *o = &l->options;
    if (batch < l->begun)
        return (whole_step){.epoch = o->first_epoch,
                            .step = batch,
                            .first = o->first_position + batch * images_of_step(l),
                            .last = batch + 1 == l->begun};
    uint64_t number = l->first + batch - l->begun, epoch = an_epochs_done(&l->epochs, number);
    return (whole_step){.epoch = epoch,
                        .step = number - an_epochs_steps(&l->epochs, epoch),
                        .first = an_epochs_offset(&l->epochs, number),
                        .last = an_epochs_done(&l->epochs, number + 1) > epoch};
}

/* Images of the epoch that are done after a step that begins at `first`. What is dropped then is done, too. */
static uint64_t done_after(const an_loader *l, uint64_t first)
{
    uint64_t images = images_of_step(l), left = l->count - first;
    if (left <= images || (l->options.last == AN_LAST_DROP && left - images < images))
        return l->count;
    return first + images;
}

/* Images of a step that begins at `first` for each rank: a batch, but equal parts of an epoch's rest. */
static uint32_t share_of_rank(const an_loader *l, uint64_t first)
{
    const an_loader_options *o = &l->options;
    uint64_t left = l->count - first;
    if (o->last != AN_LAST_EVEN || left >= images_of_step(l))
        return o->batch;
    return (uint32_t)((left + o->world - 1) / o->world);
}

/* The last `over` images of the span lie behind the epoch's end. */
static void end_span(const an_loader *l, an_loader_span *span, uint32_t over)
{
    const an_loader_options *o = &l->options;
    bool goes_on = !(o->epochs && span->epoch + 1 == o->first_epoch + o->epochs);
    if (o->last == AN_LAST_EVEN || o->last == AN_LAST_PAD)
        span->repeated = over;
    else if (o->last == AN_LAST_CARRY && goes_on)
        span->carried = over;
    else
        span->count -= over;
}

/* A step's images are dealt out to the ranks in order. */
an_loader_span an_loader_span_of(const an_loader *l, uint64_t batch)
{
    whole_step step = step_of(l, batch);
    uint32_t count = share_of_rank(l, step.first);
    uint64_t first = step.first + (uint64_t)l->options.rank * count, end = first + count;
    an_loader_span span = {.epoch = step.epoch,
                           .step = step.step,
                           .first = first,
                           .position = done_after(l, step.first),
                           .count = count,
                           .last = step.last || batch + 1 == l->total};
    if (first >= l->count)
        end_span(l, &span, count);
    else if (end > l->count)
        end_span(l, &span, (uint32_t)(end - l->count));
    return span;
}

/* With AN_LAST_SHORT an epoch's last step may have a batch for some ranks only: for the others it is none. */
static an_epochs rank_epochs(const an_loader_options *o, uint64_t images)
{
    an_epochs epochs = {.images = images, .batch = (uint64_t)o->batch * o->world, .last = o->last};
    uint64_t rest = images % epochs.batch;
    if (o->last == AN_LAST_SHORT && rest <= (uint64_t)o->rank * o->batch)
        epochs.images -= rest;
    return epochs;
}

/* Whether every epoch has a step. Of epochs that end, a rank may have none. */
static int check_steps(const an_loader *l)
{
    const an_loader_options *o = &l->options;
    bool filled = l->count >= l->epochs.batch;
    bool shorter = o->last != AN_LAST_DROP && o->last != AN_LAST_CARRY;
    bool some = shorter && (o->epochs > 0 || an_epochs_steps(&l->epochs, 1) > 0);
    if (filled || some)
        return AN_OK;
    return an_error(AN_EINVAL, "dataset '%s': %llu records do not fill a batch of %u for each of %u ranks",
                    an_dataset_path(o->dataset), (unsigned long long)l->count, o->batch, o->world);
}

/* Batches of this rank up to the end of the last epoch. */
static int count_batches(an_loader *l)
{
    const an_loader_options *o = &l->options;
    uint64_t epochs, end = UINT64_MAX;
    l->total = UINT64_MAX;
    if (o->epochs == 0)
        return AN_OK;
    if (!__builtin_add_overflow(o->first_epoch, o->epochs, &epochs))
        end = an_epochs_steps(&l->epochs, epochs);
    if (end == UINT64_MAX)
        return an_error(AN_EINVAL, "%llu epochs are more than can be counted", (unsigned long long)o->epochs);
    l->total = l->begun + end - l->first;
    if (l->total > 0 && o->last == AN_LAST_CARRY && an_loader_span_of(l, l->total - 1).count == 0)
        l->total--; /* the last step's images are all of other ranks */
    return AN_OK;
}

static int check_position(const an_loader *l)
{
    const an_loader_options *o = &l->options;
    if (o->first_position > l->count)
        return an_error(AN_EINVAL, "position %llu is beyond the %llu images of an epoch",
                        (unsigned long long)o->first_position, (unsigned long long)l->count);
    if (o->first_position && o->first_step)
        return an_error(AN_EINVAL, "first_step %llu and first_position %llu exclude each other: leave one of them 0",
                        (unsigned long long)o->first_step, (unsigned long long)o->first_position);
    if (o->first_position && o->last == AN_LAST_CARRY)
        return an_error(AN_EINVAL,
                        "first_position %llu: epochs that are carried over are not cut anew, give first_step instead",
                        (unsigned long long)o->first_position);
    return AN_OK;
}

int an_loader_plan_epochs(an_loader *l)
{
    const an_loader_options *o = &l->options;
    int rc = check_position(l);
    if (rc)
        return rc;
    l->epochs = rank_epochs(o, l->count);
    rc = check_steps(l);
    if (rc)
        return rc;
    uint64_t begin = an_epochs_steps(&l->epochs, o->first_epoch);
    uint64_t steps = an_epochs_steps(&l->epochs, o->first_epoch + 1) - begin;
    if (o->first_epoch == UINT64_MAX || begin > UINT64_MAX / 2)
        return an_error(AN_EINVAL, "epoch %llu is more than can be counted", (unsigned long long)o->first_epoch);
    if (o->first_step > steps)
        return an_error(AN_EINVAL, "step %llu is beyond the %llu of an epoch", (unsigned long long)o->first_step,
                        (unsigned long long)steps);
    l->first = begin + o->first_step;
    if (o->first_position) {
        an_epochs rest = rank_epochs(o, l->count - o->first_position);
        l->begun = an_epochs_steps(&rest, 1);
        l->first = begin + steps;
    }
    return count_batches(l);
}
