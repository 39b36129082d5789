/* Updates of an exec's parameters, the norms of gradients and layers that they need, and averages. */
#include <math.h>

#include "base/error.h"
#include "model/exec/exec_private.h"
#include "model/exec/exec_reduce_private.h"

static int sgd_check(const an_exec *exec, const an_sgd *sgd)
{
    if (!exec->options.training)
        return an_error(AN_EINVAL, "an update of a model made for evaluation");
    if (exec->exchanged)
        return an_error(AN_EINVAL, "an update while averages are in use");
    if (!(sgd->clip >= 0) || !isfinite(sgd->clip))
        return an_error(AN_EINVAL, "gradients clipped at a norm of %g: it must be 0 (not at all) or more", sgd->clip);
    if (!(sgd->trust >= 0) || !isfinite(sgd->trust))
        return an_error(AN_EINVAL, "layers trusted with %g: it must be 0 (no LARS) or more", sgd->trust);
    if (!(sgd->average >= 0 && sgd->average < 1))
        return an_error(AN_EINVAL, "averages with a decay of %g: it must be 0 (none) to below 1", sgd->average);
    if (sgd->average > 0 && !an_exec_averages(exec))
        return an_error(AN_EINVAL, "averages of the parameters of a model that was made without");
    return AN_OK;
}

typedef struct {
    const an_exec *exec;
    double clip;
} norm_work;

static int device_norm(void *context, int device)
{
    const norm_work *w = context;
    return w->exec->api->norm(w->exec->devices[device], w->clip);
}

/* Each device sums what it has. */
static int norm_take(an_exec *exec, double clip)
{
    norm_work work = {exec, clip};
    int rc = an_reduction_wait_all(exec->reduction);
    if (!rc)
        rc = an_lanes_run(exec->lanes, &(an_lanes_job){.each = device_norm, .context = &work, .queue = true});
    exec->normed = !rc;
    return rc;
}

static int squares_sum(an_exec *exec, double *out)
{
    int rc = AN_OK;
    *out = 0;
    for (int i = 0; i < exec->device_count && !rc; i++) {
        double squares = 0;
        rc = exec->api->squares(exec->devices[i], &squares);
        *out += squares;
    }
    return rc;
}

/* Whether several ops are parts of one layer. */
static bool has_split_layers(const an_exec *exec)
{
    for (int i = 0; i < exec->parameter_count; i++)
        if (exec->parameters[i].node_count > 1)
            return true;
    return false;
}

/* A single device knows its factor without the host, unless the host computes further with it. */
static int clip_factor(an_exec *exec, const an_sgd *sgd, double *out)
{
    double squares;
    bool own = exec->device_count == 1 && !(sgd->trust > 0 && has_split_layers(exec));
    *out = sgd->clip > 0 ? AN_FACTOR_OWN : 1;
    int rc = sgd->clip > 0 || sgd->trust > 0 ? norm_take(exec, sgd->clip) : AN_OK;
    if (rc || sgd->clip == 0 || own)
        return rc;
    rc = squares_sum(exec, &squares);
    if (!rc)
        *out = an_clip_factor(sgd->clip, squares);
    return rc;
}

typedef struct {
    const an_exec *exec;
    const an_sgd *sgd;
    double factor;
} trust_work;

static int device_trust(void *context, int device)
{
    const trust_work *w = context;
    return w->exec->api->trust(w->exec->devices[device], w->sgd, w->factor);
}

/* The parts of a layer, on one device or on two, have one norm and one factor. */
static int trust_join(an_exec *exec, const an_sgd *sgd, double factor)
{
    an_trust_squares squares[AN_GRAPH_NODES_MAX] = {{0}};
    double factors[AN_GRAPH_NODES_MAX];
    int rc = AN_OK;
    for (int i = 0; i < exec->device_count && !rc; i++)
        rc = exec->api->trust_squares(exec->devices[i], squares);
    for (int i = 0; i < AN_GRAPH_NODES_MAX; i++)
        factors[i] = an_trust_factor(sgd, &squares[i], factor);
    for (int i = 0; i < exec->device_count && !rc; i++)
        rc = exec->api->trust_set(exec->devices[i], factors);
    return rc;
}

static int trust_take(an_exec *exec, const an_sgd *sgd, double factor)
{
    trust_work work = {exec, sgd, factor};
    int rc = an_lanes_run(exec->lanes, &(an_lanes_job){.each = device_trust, .context = &work, .queue = true});
    if (rc || !has_split_layers(exec))
        return rc;
    return trust_join(exec, sgd, factor);
}

int an_exec_update(an_exec *exec, const an_sgd *sgd)
{
    an_lanes_job job = {.sgd = *sgd, .phases = {[AN_LANES_UPDATE] = true}, .queue = true};
    int rc = sgd_check(exec, sgd);
    if (rc)
        return rc;
    rc = clip_factor(exec, sgd, &job.factor);
    if (!rc && sgd->trust > 0)
        rc = trust_take(exec, sgd, job.factor);
    if (rc)
        return rc;
    return an_lanes_run(exec->lanes, &job);
}

int an_exec_gradient_norm(an_exec *exec, double *out)
{
    double squares;
    if (!exec->stepped)
        return an_error(AN_EINVAL, "the norm of gradients before the first step");
    int rc = exec->normed ? AN_OK : norm_take(exec, 0);
    if (rc)
        return rc;
    rc = squares_sum(exec, &squares);
    if (!rc)
        *out = sqrt(squares);
    return rc;
}

bool an_exec_averages(const an_exec *exec)
{
    return exec->options.averages && exec->options.training;
}

static int device_exchange(void *context, int device)
{
    const an_exec *exec = context;
    int rc = AN_OK;
    for (int i = 0; i < exec->graph.count && !rc; i++)
        if (exec->graph.nodes[i].device == device && exec->graph.nodes[i].has_weights)
            rc = exec->api->exchange(exec->ops[i]);
    return rc;
}

int an_exec_average_use(an_exec *exec, bool use)
{
    if (!an_exec_averages(exec))
        return an_error(AN_EINVAL, "averages of the parameters of a model that was made without");
    if (use == exec->exchanged)
        return AN_OK;
    int rc = an_lanes_run(exec->lanes, &(an_lanes_job){.each = device_exchange, .context = exec, .queue = true});
    exec->exchanged = rc ? exec->exchanged : use;
    return rc;
}
