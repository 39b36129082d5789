/* Where in the data a loader is, and going elsewhere. */
#include "base/error.h"
#include "liban/common_private.h"
#include "liban/dataset_private.h"
#include "liban/loader_private.h"

/* Samples that a step of all ranks takes. */
static uint64_t step_samples(const liban_loader *l)
{
    return (uint64_t)l->run_options.loader.batch * l->run_options.loader.world;
}

uint64_t liban_loader_steps(const liban_loader *loader)
{
    uint64_t step = step_samples(loader), whole = loader->records / step;
    if (loader->run_options.loader.last == AN_LAST_DROP)
        return whole;
    return whole + (loader->records % step ? 1 : 0);
}

/* Whether a batch begins there. */
static bool has_batch(const liban_loader *l, uint64_t position)
{
    if (position >= l->records)
        return false;
    return l->run_options.loader.last != AN_LAST_DROP || l->records - position >= step_samples(l);
}

int an_lib_loader_place(liban_loader *l, uint64_t epoch, uint64_t position)
{
    bool over = position > 0 && !has_batch(l, position);
    if (over && epoch == UINT64_MAX)
        return an_error(LIBAN_EINVAL, "epoch %llu is more than can be counted", (unsigned long long)epoch);
    pthread_mutex_lock(&l->lock);
    l->end_due = over;
    l->epoch = epoch + (over ? 1 : 0);
    l->position = over ? 0 : position;
    pthread_mutex_unlock(&l->lock);
    return LIBAN_OK;
}

/* ---- state ------------------------------------------------------------------------------------------------------ */

void liban_loader_state_get(liban_loader *loader, liban_loader_state *out)
{
    liban_loader *l = loader;
    const an_loader_options *o = &l->run_options.loader;
    *out = (liban_loader_state){.version = LIBAN_LOADER_STATE_VERSION,
                                .order = (int32_t)o->order,
                                .block = o->order == AN_ORDER_BLOCK ? o->block : 0,
                                .seed = o->seed,
                                .records = l->records,
                                .fingerprint = liban_dataset_fingerprint(l->dataset),
                                .sampling = l->sampling};
    if (an_lib_is_forked(l->process))
        return;
    pthread_mutex_lock(&l->lock);
    out->epoch = l->epoch;
    out->position = l->position;
    pthread_mutex_unlock(&l->lock);
}

static int differs(const char *member, uint64_t theirs, uint64_t ours, const char *what)
{
    if (theirs == ours)
        return LIBAN_OK;
    return an_error(LIBAN_EINVAL, "the state's %s is %llu, this loader's %llu: %s", member, (unsigned long long)theirs,
                    (unsigned long long)ours, what);
}

static int check_data(const liban_loader_state *theirs, const liban_loader_state *ours)
{
    int rc = differs("fingerprint", theirs->fingerprint, ours->fingerprint, "it is another dataset");
    if (rc)
        return rc;
    rc = differs("records", theirs->records, ours->records, "their epochs differ");
    if (rc)
        return rc;
    return differs("sampling", theirs->sampling, ours->sampling, "its indices or weights are others");
}

static int check_order(const liban_loader_state *theirs, const liban_loader_state *ours)
{
    int rc = differs("seed", theirs->seed, ours->seed, "its epochs have another order");
    if (rc)
        return rc;
    rc = differs("order", (uint64_t)theirs->order, (uint64_t)ours->order, "its epochs have another order");
    if (rc)
        return rc;
    return differs("block", theirs->block, ours->block, "its epochs have another order");
}

static int check_state(liban_loader *l, const liban_loader_state *state)
{
    liban_loader_state ours;
    if (state->version == 0 || state->version > LIBAN_LOADER_STATE_VERSION)
        return an_error(state->version ? LIBAN_EUNSUPPORTED : LIBAN_EINVAL,
                        "the state's version is %u, this library knows %u", state->version, LIBAN_LOADER_STATE_VERSION);
    liban_loader_state_get(l, &ours);
    int rc = check_data(state, &ours);
    if (rc)
        return rc;
    rc = check_order(state, &ours);
    if (rc)
        return rc;
    if (state->position > ours.records)
        return an_error(LIBAN_EINVAL, "the state's position is %llu, beyond the %llu records of an epoch",
                        (unsigned long long)state->position, (unsigned long long)ours.records);
    return LIBAN_OK;
}

/* Whether what was made ready is of no use. */
static bool has_failed(const liban_loader *l)
{
    return l->run && an_lib_source_has_failed(an_lib_run_source(l->run));
}

/* With the turn. Where the loader is there already, what was made ready stays, unless it has failed. If it cannot go
 * there, it stays where it was. */
static int go_to(liban_loader *l, uint64_t epoch, uint64_t position)
{
    uint64_t old_epoch = l->epoch, old_position = l->position;
    bool old_end = l->end_due;
    int rc = an_lib_loader_place(l, epoch, position);
    if (rc)
        return rc;
    if (l->epoch == old_epoch && l->position == old_position && !has_failed(l))
        return LIBAN_OK;
    an_lib_loader_stop(l);
    rc = an_lib_loader_start(l);
    if (!rc)
        return LIBAN_OK;
    pthread_mutex_lock(&l->lock);
    l->epoch = old_epoch;
    l->position = old_position;
    l->end_due = old_end;
    pthread_mutex_unlock(&l->lock);
    return rc;
}

static int claim_and_go(liban_loader *l, uint64_t epoch, uint64_t position)
{
    int rc = an_lib_loader_claim_turn(l);
    if (rc)
        return rc;
    rc = go_to(l, epoch, position);
    an_lib_loader_give_turn(l);
    return rc;
}

int liban_loader_state_set(liban_loader *loader, const liban_loader_state *state)
{
    int rc = an_lib_check_process(loader->process, "loader");
    if (rc)
        return rc;
    rc = check_state(loader, state);
    if (rc)
        return rc;
    return claim_and_go(loader, state->epoch, state->position);
}

int liban_loader_set_epoch(liban_loader *loader, uint64_t epoch)
{
    int rc = an_lib_check_process(loader->process, "loader");
    if (rc)
        return rc;
    return claim_and_go(loader, epoch, 0);
}
