#include "train/advice/find_rate.h"

#include <math.h>

#include "base/error.h"
#include "base/program/stop.h"
#include "train/setup/network.h"

double an_find_rate_at(int step, int steps)
{
    double share = steps > 1 ? (double)step / (steps - 1) : 0;
    return AN_FIND_RATE_MIN * pow(AN_FIND_RATE_MAX / AN_FIND_RATE_MIN, share);
}

/* The first tenth of the steps only fills the average: until then it is the loss of a few batches, too uncertain to
 * compare with. */
static int settled(int steps)
{
    return steps / 10;
}

an_rate_choice an_find_rate_choose(const an_rate_point *points, int count, int classes)
{
    int first = settled(count), lowest = first;
    if (count == 0)
        return (an_rate_choice){.rate = 0};
    for (int i = first; i < count; i++)
        if (points[i].loss < points[lowest].loss)
            lowest = i;
    double guessing = log(classes), start = points[first].loss;
    an_rate_choice choice = {.lowest = points[lowest].loss,
                             .at = points[lowest].rate,
                             .bar = fmin(start, guessing),
                             .bar_is_guesses = guessing <= start};
    if (choice.lowest < 0.98 * choice.bar)
        choice.rate = choice.at / 3;
    return choice;
}

/* One step at the given rate. AN_END if the loss is not finite. */
static int one_step(an_session *s, an_loader *loader, int number, double rate, double *loss)
{
    an_batch batch;
    an_exec_result result;
    int rc = an_loader_next(loader, &batch);
    if (rc)
        return rc;
    an_images images = an_train_images(&batch);
    rc = an_exec_step(s->exec, &images, batch.labels, batch.count, (uint64_t)number, &result);
    bool damaged = an_exec_damaged(s->exec) >= 0;
    if (damaged)
        rc = an_train_name_damaged(s->exec, s->data.training, &batch, rc);
    int released = an_loader_release(loader, &batch);
    if (rc == AN_ECORRUPT && !damaged)
        return AN_END;
    if (!rc)
        rc = released;
    if (rc)
        return rc;
    *loss = result.loss;
    an_sgd sgd = an_network_sgd(s->config, rate);
    return an_exec_update(s->exec, &sgd);
}

int an_find_rate(an_session *s, int steps, an_rate_point *points, int *count, an_rate_choice *choice)
{
    an_loader *loader = NULL;
    double smooth = 0, loss = 0, start = HUGE_VAL;
    *count = 0;
    int rc = an_session_start_weights(s);
    if (!rc)
        rc = an_session_choose_decoding(s, 0);
    if (!rc)
        rc = an_session_loader(s, 0, &loader);
    for (int i = 0; !rc && i < steps; i++) {
        double rate = an_find_rate_at(i, steps);
        rc = an_stop_requested() ? AN_STOPPED : one_step(s, loader, i, rate, &loss);
        if (rc)
            break;
        smooth = i ? 0.9 * smooth + 0.1 * loss : loss;
        points[(*count)++] = (an_rate_point){rate, smooth};
        if (i == settled(steps))
            start = smooth;
        if (smooth > 4 * start)
            break;
    }
    an_loader_free(loader);
    *choice = an_find_rate_choose(points, *count, s->data.classes);
    return rc == AN_END ? AN_OK : rc;
}
