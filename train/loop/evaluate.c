#include "train/loop/evaluate.h"

#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/program/stop.h"
#include "train/loop/predictions.h"

static void count(an_evaluation *sum, uint32_t label, const float *probabilities, uint32_t classes)
{
    uint32_t rank = an_prediction_rank(probabilities, classes, label);
    sum->top1 += rank < 1;
    sum->topk += rank < sum->k;
}

void an_evaluation_add(an_evaluation *sum, uint32_t label, const float *probabilities, uint32_t classes)
{
    sum->images++;
    count(sum, label, probabilities, classes);
    sum->loss -= log(fmax((double)probabilities[label], 1e-38)); /* finite also where a probability is 0 */
}

/* Counted from the probabilities that the watcher sees, so that the accuracy is that of the predictions it prints. */
static int look_at_rows(const an_evaluate_watcher *watcher, const an_batch *batch, const float *probabilities,
                        an_evaluation *sum)
{
    for (uint32_t i = 0; i < batch->count; i++) {
        const float *row = probabilities + (size_t)i * watcher->classes;
        int rc = an_prediction_check(batch->indices[i], row, watcher->classes);
        sum->diverged = rc == AN_ECORRUPT;
        if (rc)
            return rc;
        count(sum, batch->labels[i], row, watcher->classes);
        rc = watcher->image(watcher->context, batch->indices[i], batch->labels[i], row);
        if (rc)
            return rc;
    }
    return AN_OK;
}

/* What stays the same over all batches. */
typedef struct {
    an_exec *exec;
    an_loader *loader;
    const an_dataset *dataset;
    const an_evaluate_watcher *watcher;
    uint32_t top;
    float *probabilities;
} pass;

static int add_batch(const pass *p, const an_batch *batch, an_evaluation *sum)
{
    an_exec_result result;
    an_images images = an_train_images(batch);
    int rc = an_exec_evaluate(p->exec, &images, batch->labels, batch->count, p->probabilities, &result);
    sum->diverged = rc == AN_ECORRUPT && an_exec_damaged(p->exec) < 0;
    if (rc)
        return an_train_name_damaged(p->exec, p->dataset, batch, rc);
    sum->images += batch->count;
    sum->loss += result.loss * batch->count;
    if (p->watcher)
        return look_at_rows(p->watcher, batch, p->probabilities, sum);
    sum->top1 += result.top1;
    sum->topk += result.topk;
    return AN_OK;
}

static int next_batch(const pass *p, an_evaluation *out, bool *last)
{
    an_batch batch;
    int rc = an_loader_next(p->loader, &batch);
    if (rc)
        return rc;
    *last = batch.last;
    rc = add_batch(p, &batch, out);
    int released = an_loader_release(p->loader, &batch);
    return rc ? rc : released;
}

/* All batches up to the last of a pass. */
static int evaluate(const pass *p, an_evaluation *out)
{
    bool last = false;
    *out = (an_evaluation){.k = p->top};
    while (!last) {
        int rc = an_stop_requested() ? AN_STOPPED : next_batch(p, out, &last);
        if (rc)
            return rc;
    }
    out->loss /= (double)out->images;
    return AN_OK;
}

int an_evaluate_centre(an_exec *exec, const an_train_view_options *options, const an_evaluate_watcher *watcher,
                       an_evaluation *out)
{
    pass p = {.exec = exec,
              .dataset = options->dataset,
              .watcher = watcher,
              .top = watcher ? an_train_view_top(options) : an_exec_top(exec)};
    *out = (an_evaluation){0};
    if (watcher && !(p.probabilities = calloc((size_t)options->batch * watcher->classes, sizeof(float))))
        return an_error(AN_ENOMEM, "out of memory for predictions");
    int rc = an_train_view_loader(options, exec, &p.loader);
    if (!rc)
        rc = evaluate(&p, out);
    an_loader_free(p.loader);
    free(p.probabilities);
    return rc;
}

int an_evaluate_pass(an_exec *exec, an_loader *loader, const an_dataset *dataset, an_evaluation *out)
{
    return evaluate(&(pass){.exec = exec, .loader = loader, .dataset = dataset, .top = an_exec_top(exec)}, out);
}

/* Counts are exact as doubles. */
static int sum_up(an_group *group, an_evaluation *out)
{
    double sums[] = {(double)out->images, out->loss, (double)out->top1, (double)out->topk};
    int rc = an_group_sum(group, sums, sizeof sums / sizeof *sums);
    if (rc)
        return rc;
    out->images = (uint64_t)sums[0];
    out->loss = sums[1] / sums[0];
    out->top1 = (uint64_t)sums[2];
    out->topk = (uint64_t)sums[3];
    return AN_OK;
}

/* Asked after each round, since no rank may stop alone. */
static int stop_together(an_group *group)
{
    double stop = an_stop_requested();
    int rc = an_group_sum(group, &stop, 1);
    if (rc)
        return rc;
    return stop > 0 ? AN_STOPPED : AN_OK;
}

int an_evaluate_divided(an_exec *exec, an_group *group, const an_train_share *share, an_loader *loader,
                        const an_dataset *dataset, uint64_t images, an_evaluation *out)
{
    pass p = {.exec = exec, .loader = loader, .dataset = dataset, .top = an_exec_top(exec)};
    uint64_t round = (uint64_t)share->batch * (uint64_t)share->world;
    *out = (an_evaluation){.k = p.top};
    for (uint64_t first = 0; first < images; first += round) {
        bool last, part = an_train_share_of(share, images - first) > 0;
        int rc = part ? next_batch(&p, out, &last) : AN_OK;
        if (!rc)
            rc = stop_together(group);
        if (rc)
            return rc;
    }
    return sum_up(group, out);
}
