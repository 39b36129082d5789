/* The ways of a convolution in two groups. Libraries compute groups slowly; without them, each half is an ordinary
 * convolution that reads and writes one half of the channels. A half lies in a part of its own, or is a view of a whole
 * tensor. cuDNN packs views into its workspace first, so parts are faster. Where both tensors lie whole, one ordinary
 * convolution with zeros among its weights may be the fastest, although half of its products are for nothing. Each pass
 * takes the way that is the fastest as its tensors lie.
 *
 * Which way that is follows from the plans' times in the backend's choices, rounded as they are kept there: so a run
 * that goes on with the same choices takes the same ways. Without choices the first way that the library can do is
 * taken. */
#include <math.h>

#include "base/error.h"
#include "model/cuda/layers/conv_private.h"
#include "model/cuda/tune.h"

#define CLEARLY 0.98 /* a way must take at most this share of the time of those before it; a smaller gain is noise */
#define VECTOR 16    /* bytes that libraries read at once; halves must begin on such boundaries */

static const an_conv_op *conv_of(const an_op *op)
{
    return (const an_conv_op *)op;
}

bool an_conv_splits(const an_op *op)
{
    if (op->node.kind != AN_OP_CONV || op->node.groups != 2)
        return false;
    size_t value = an_stored_size(op->cuda->stored);
    const an_plan_spec *spec = &conv_of(op)->spec;
    if (an_conv_is_uneven(&op->node, &op->input->output))
        return false;
    return (size_t)(spec->c / 2) * value % VECTOR == 0 && (size_t)(spec->k / 2) * value % VECTOR == 0;
}

static an_plan_spec spec_of(const an_conv_op *conv, an_plan_kind kind, an_conv_way way, int x_parts, int y_parts)
{
    an_plan_spec spec = conv->spec;
    spec.kind = kind;
    if (way == AN_WAY_WHOLE)
        return spec;
    spec.groups = 1;
    if (way == AN_WAY_DENSE)
        return spec;
    spec.c /= 2;
    spec.k /= 2;
    spec.x_pitch = x_parts == 2 ? 0 : conv->spec.c;
    spec.y_pitch = y_parts == 2 ? 0 : conv->spec.k;
    return spec;
}

static double as_kept(double microseconds)
{
    return rint(microseconds * 100) / 100;
}

/* Makes a plan only to learn its time. */
static int time_ask(an_conv_op *conv, const an_plan_spec *spec, an_conv_way way, an_conv_time *time)
{
    an_plan plan = {0};
    int rc = an_tune_plan(conv->op.cuda, &plan, spec);
    if (rc && rc != AN_EUNSUPPORTED)
        return rc;
    time->known = true;
    time->microseconds = rc ? INFINITY : as_kept(plan.microseconds) * (way == AN_WAY_HALVES ? 2 : 1);
    an_plan_free(&plan);
    return AN_OK;
}

static int time_of(an_conv_op *conv, an_plan_kind kind, an_conv_way way, int x_parts, int y_parts, double *microseconds)
{
    an_conv_time *time = &conv->times[kind][way][x_parts - 1][y_parts - 1];
    an_plan_spec spec = spec_of(conv, kind, way, x_parts, y_parts);
    int rc = time->known ? AN_OK : time_ask(conv, &spec, way, time);
    *microseconds = time->microseconds;
    return rc;
}

/* Without choices nothing is measured, and what is possible is taken. */
static bool is_settled(const an_backend *cuda, double microseconds)
{
    return !cuda->choices && isfinite(microseconds);
}

/* Takes the way if it is clearly faster than the one before. */
static int way_try(an_conv_op *conv, an_plan_kind kind, an_conv_way way, int x_parts, int y_parts, an_conv_way *best,
                   double *microseconds)
{
    double time;
    if (is_settled(conv->op.cuda, *microseconds))
        return AN_OK;
    int rc = time_of(conv, kind, way, x_parts, y_parts, &time);
    if (rc || time >= CLEARLY * *microseconds)
        return rc;
    *best = way;
    *microseconds = time;
    return AN_OK;
}

/* With the weights in plain order: as a whole or in halves. */
static int plain_fastest(an_conv_op *conv, an_plan_kind kind, int x_parts, int y_parts, an_conv_way *way,
                         double *microseconds)
{
    int rc = AN_OK;
    *way = AN_WAY_HALVES;
    *microseconds = INFINITY;
    if (x_parts == 1 && y_parts == 1)
        rc = way_try(conv, kind, AN_WAY_WHOLE, x_parts, y_parts, way, microseconds);
    if (rc)
        return rc;
    return way_try(conv, kind, AN_WAY_HALVES, x_parts, y_parts, way, microseconds);
}

static bool is_needed(const an_op *op, an_plan_kind kind)
{
    if (kind == AN_PLAN_FORWARD)
        return true;
    return op->cuda->training && (kind == AN_PLAN_WEIGHTS ? op->rate_scale > 0 : op->input_gradient);
}

/* The times with weights in plain order and with dense ones; both 0 for a pass that is not needed. */
static int times_of(an_conv_op *conv, an_plan_kind kind, int x_parts, int y_parts, an_conv_way *way, double *plain,
                    double *dense)
{
    bool together = x_parts == 1 && y_parts == 1;
    *plain = *dense = 0;
    if (!is_needed(&conv->op, kind))
        return AN_OK;
    int rc = plain_fastest(conv, kind, x_parts, y_parts, way, plain);
    *dense = INFINITY;
    if (rc || !together || is_settled(conv->op.cuda, *plain))
        return rc;
    return time_of(conv, kind, AN_WAY_DENSE, x_parts, y_parts, dense);
}

/* Forward and the gradient of x read the same copy of the weights, so both or neither are dense. */
int an_conv_fastest(an_conv_op *conv, int x_parts, int y_parts, an_conv_way ways[AN_CONV_PASSES], double *microseconds)
{
    double plain[AN_CONV_PASSES], dense[AN_CONV_PASSES];
    for (an_plan_kind kind = AN_PLAN_FORWARD; kind <= AN_PLAN_WEIGHTS; kind++) {
        int rc = times_of(conv, kind, x_parts, y_parts, &ways[kind], &plain[kind], &dense[kind]);
        if (rc)
            return rc;
    }
    double reading = plain[AN_PLAN_FORWARD] + plain[AN_PLAN_DATA], writing = plain[AN_PLAN_WEIGHTS];
    double reading_dense = dense[AN_PLAN_FORWARD] + dense[AN_PLAN_DATA];
    if (reading_dense < CLEARLY * reading) {
        ways[AN_PLAN_FORWARD] = ways[AN_PLAN_DATA] = AN_WAY_DENSE;
        reading = reading_dense;
    }
    if (dense[AN_PLAN_WEIGHTS] < CLEARLY * writing) {
        ways[AN_PLAN_WEIGHTS] = AN_WAY_DENSE;
        writing = dense[AN_PLAN_WEIGHTS];
    }
    *microseconds = reading + writing;
    return AN_OK;
}

int an_conv_ways(an_conv_op *conv)
{
    const an_op *op = &conv->op;
    double microseconds;
    if (!an_conv_splits(op))
        return AN_OK;
    return an_conv_fastest(conv, op->input->output.parts, op->output.parts, conv->ways, &microseconds);
}

int an_conv_plan(an_conv_op *conv, an_plan_kind kind)
{
    const an_op *op = &conv->op;
    if (!is_needed(op, kind))
        return AN_OK;
    an_plan_spec spec = spec_of(conv, kind, conv->ways[kind], op->input->output.parts, op->output.parts);
    return an_cuda_plan(op->cuda, &conv->plans[kind], &spec);
}

/* The memory of a plan's tensors, and how far behind it that of the second half lies, in bytes. */
typedef struct {
    char *x, *y, *w, *b;
    size_t x_second, y_second, w_second, b_second;
} places;

static size_t second_of(const an_cuda_tensor *tensor)
{
    uint64_t half = tensor->parts == 2 ? an_cuda_tensor_items(tensor) / 2 : (uint64_t)tensor->stored_c / 2;
    return half * an_stored_size(tensor->stored);
}

static places places_of(const an_conv_op *conv, an_plan_kind kind)
{
    const an_op *op = &conv->op;
    const an_cuda_tensor *x = &op->input->output, *y = &op->output;
    const an_cuda_weights *w = &op->weights, *b = &op->bias;
    const an_conv_frame *frame = &conv->frame;
    places at = {.x = frame->data ? frame->data : x->data, .y = y->slope, .w = w->copy};
    switch (kind) {
    case AN_PLAN_FORWARD:
        at.y = y->data;
        at.b = b->copy;
        break;
    case AN_PLAN_DATA:
        at.x = frame->slope ? frame->slope : conv->summand ? conv->summand : x->slope;
        break;
    case AN_PLAN_WEIGHTS:
        at.w = w->written;
        break;
    }
    at.x_second = second_of(x);
    at.y_second = second_of(y);
    at.w_second = w->items / 2 * an_stored_size(kind == AN_PLAN_WEIGHTS ? w->slope_stored : w->stored);
    at.b_second = b->items / 2 * an_stored_size(b->stored);
    return at;
}

int an_conv_bind(const an_conv_op *conv, an_plan_kind kind)
{
    const an_op *op = &conv->op;
    an_plan *plan = conv->plans[kind];
    void *workspace = op->cuda->workspace;
    if (!plan)
        return AN_OK;
    an_plan_spec spec = spec_of(conv, kind, conv->ways[kind], op->input->output.parts, op->output.parts);
    places at = places_of(conv, kind);
    int rc = an_plan_bind(plan, &spec, at.x, at.y, at.w, at.b, workspace);
    if (rc || conv->ways[kind] != AN_WAY_HALVES)
        return rc;
    return an_plan_bind_second(plan, &spec, at.x + at.x_second, at.y + at.y_second, at.w + at.w_second,
                               at.b ? at.b + at.b_second : NULL, workspace);
}
