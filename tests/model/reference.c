#include "reference.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"

static double activate(an_activation kind, double x)
{
    switch (kind) {
    case AN_ACTIVATION_RELU:
        return x > 0 ? x : 0;
    case AN_ACTIVATION_TANH:
        return tanh(x);
    case AN_ACTIVATION_SIGMOID:
        return 1 / (1 + exp(-x));
    default:
        return x;
    }
}

static double derivative(an_activation kind, double y)
{
    switch (kind) {
    case AN_ACTIVATION_RELU:
        return y > 0;
    case AN_ACTIVATION_TANH:
        return 1 - y * y;
    case AN_ACTIVATION_SIGMOID:
        return y * (1 - y);
    default:
        return 1;
    }
}

static size_t at(an_reference_shape s, int n, int c, int h, int w)
{
    return (((size_t)n * (size_t)s.c + (size_t)c) * (size_t)s.h + (size_t)h) * (size_t)s.w + (size_t)w;
}

static an_reference_shape shape_out(const an_node *node, int n)
{
    return (an_reference_shape){n, node->channels, node->height, node->width};
}

/* Calls visit for every pair of an output, an input under its window and the weight between them. */
typedef void window_visit(void *context, size_t output, size_t input, size_t weight);
static void conv_walk(const an_node *node, an_reference_shape in, window_visit *visit, void *context)
{
    an_reference_shape out = shape_out(node, in.n);
    int k = node->kernel, from = in.c / node->groups, to = out.c / node->groups;
    for (int n = 0; n < in.n; n++)
        for (int o = 0; o < out.c; o++)
            for (int h = 0; h < out.h; h++)
                for (int w = 0; w < out.w; w++)
                    for (int c = 0; c < from; c++)
                        for (int y = 0; y < k; y++)
                            for (int x = 0; x < k; x++) {
                                int row = h * node->stride + y - node->pad_before;
                                int column = w * node->stride + x - node->pad_before;
                                if (row < 0 || row >= in.h || column < 0 || column >= in.w)
                                    continue;
                                size_t weight =
                                    (((size_t)o * (size_t)from + (size_t)c) * (size_t)k + (size_t)y) * (size_t)k +
                                    (size_t)x;
                                visit(context, at(out, n, o, h, w), at(in, n, o / to * from + c, row, column), weight);
                            }
}

typedef struct {
    const double *x, *weight;
    double *y, *dy, *dx, *dweight;
} conv_context;

static void conv_add(void *context, size_t output, size_t input, size_t weight)
{
    conv_context *c = context;
    c->y[output] += c->x[input] * c->weight[weight];
}

static void conv_back(void *context, size_t output, size_t input, size_t weight)
{
    conv_context *c = context;
    c->dx[input] += c->dy[output] * c->weight[weight];
    c->dweight[weight] += c->dy[output] * c->x[input];
}

static void dense_walk(const an_node *node, an_reference_shape in, window_visit *visit, void *context)
{
    size_t inputs = (size_t)in.c * (size_t)in.h * (size_t)in.w, outputs = (size_t)node->channels;
    for (size_t n = 0; n < (size_t)in.n; n++)
        for (size_t o = 0; o < outputs; o++)
            for (size_t i = 0; i < inputs; i++)
                visit(context, n * outputs + o, n * inputs + i, o * inputs + i);
}

static void weighted_walk(const an_node *node, an_reference_shape in, window_visit *visit, void *context)
{
    if (node->kind == AN_OP_CONV)
        conv_walk(node, in, visit, context);
    else
        dense_walk(node, in, visit, context);
}

static void weighted_forward(const an_node *node, an_reference_shape in, const double *x, const an_reference_weights *w,
                             double *y)
{
    size_t plane = (size_t)node->height * (size_t)node->width, count = (size_t)in.n * (size_t)node->channels * plane;
    conv_context context = {.x = x, .weight = w->weight, .y = y};
    for (size_t i = 0; i < count; i++)
        y[i] = w->bias[i / plane % (size_t)node->channels];
    weighted_walk(node, in, conv_add, &context);
    for (size_t i = 0; i < count; i++)
        y[i] = activate(node->activation, y[i]);
}

static void weighted_backward(const an_node *node, an_reference_shape in, const double *x, const double *y, double *dy,
                              const an_reference_weights *w, double *dx)
{
    size_t plane = (size_t)node->height * (size_t)node->width, count = (size_t)in.n * (size_t)node->channels * plane;
    conv_context context = {.x = x, .weight = w->weight, .dy = dy, .dx = dx, .dweight = w->weight_gradient};
    for (size_t i = 0; i < count; i++) {
        dy[i] *= derivative(node->activation, y[i]);
        w->bias_gradient[i / plane % (size_t)node->channels] += dy[i];
    }
    weighted_walk(node, in, conv_back, &context);
}

static size_t values_of(an_reference_shape s)
{
    return (size_t)s.n * (size_t)s.c * (size_t)s.h * (size_t)s.w;
}

static void activation_forward(const an_node *node, an_reference_shape s, const double *x, double *y)
{
    for (size_t i = 0; i < values_of(s); i++)
        y[i] = activate(node->activation, x[i]);
}

static void activation_backward(const an_node *node, an_reference_shape s, const double *y, double *dy, double *dx)
{
    for (size_t i = 0; i < values_of(s); i++) {
        dy[i] *= derivative(node->activation, y[i]);
        dx[i] += dy[i];
    }
}

static double lrn_scale(const an_node *node, an_reference_shape s, const double *x, int n, int c, int h, int w)
{
    int group = s.c / node->groups, first = c / group * group, half = node->lrn_size / 2;
    double sum = 0;
    for (int i = c - half; i <= c + half; i++)
        if (i >= first && i < first + group)
            sum += x[at(s, n, i, h, w)] * x[at(s, n, i, h, w)];
    return node->lrn_k + node->lrn_alpha / node->lrn_size * sum;
}

static void lrn_forward(const an_node *node, an_reference_shape s, const double *x, double *y)
{
    for (int n = 0; n < s.n; n++)
        for (int c = 0; c < s.c; c++)
            for (int h = 0; h < s.h; h++)
                for (int w = 0; w < s.w; w++)
                    y[at(s, n, c, h, w)] =
                        x[at(s, n, c, h, w)] * pow(lrn_scale(node, s, x, n, c, h, w), -node->lrn_beta);
}

static void lrn_backward_one(const an_node *node, an_reference_shape s, const double *x, const double *dy, double *dx,
                             const int p[4])
{
    int group = s.c / node->groups, first = p[1] / group * group, half = node->lrn_size / 2;
    double scale = lrn_scale(node, s, x, p[0], p[1], p[2], p[3]);
    double own = x[at(s, p[0], p[1], p[2], p[3])], slope = dy[at(s, p[0], p[1], p[2], p[3])];
    dx[at(s, p[0], p[1], p[2], p[3])] += slope * pow(scale, -node->lrn_beta);
    for (int i = p[1] - half; i <= p[1] + half; i++)
        if (i >= first && i < first + group)
            dx[at(s, p[0], i, p[2], p[3])] -= slope * own * node->lrn_beta * pow(scale, -node->lrn_beta - 1) * 2 *
                                              node->lrn_alpha / node->lrn_size * x[at(s, p[0], i, p[2], p[3])];
}

static void lrn_backward(const an_node *node, an_reference_shape s, const double *x, const double *dy, double *dx)
{
    for (int n = 0; n < s.n; n++)
        for (int c = 0; c < s.c; c++)
            for (int h = 0; h < s.h; h++)
                for (int w = 0; w < s.w; w++)
                    lrn_backward_one(node, s, x, dy, dx, (int[]){n, c, h, w});
}

/* The places under a window that lie in the image; returns how many. */
static int pool_places(const an_node *node, an_reference_shape in, const int *out, size_t *places)
{
    int count = 0;
    for (int i = 0; i < node->kernel; i++)
        for (int k = 0; k < node->kernel; k++) {
            int row = out[2] * node->stride + i - node->pad_before,
                column = out[3] * node->stride + k - node->pad_before;
            if (row >= 0 && row < in.h && column >= 0 && column < in.w)
                places[count++] = at(in, out[0], out[1], row, column);
        }
    return count;
}

/* One output: the mean of the places or the first of the largest values, forward to y or its gradient back to dx. */
static void pool_one(const an_node *node, const size_t *places, int count, const double *x, double *y, double dy,
                     double *dx)
{
    int first = 0, end = count;
    if (!node->average) {
        for (int i = 1; i < count; i++)
            if (x[places[i]] > x[places[first]])
                first = i;
        end = first + 1;
    }
    double sum = 0, share = 1.0 / (end - first);
    for (int i = first; i < end; i++) {
        sum += x[places[i]];
        if (dx)
            dx[places[i]] += share * dy;
    }
    if (y)
        *y = share * sum;
}

static void pool(const an_node *node, an_reference_shape in, const double *x, double *y, const double *dy, double *dx)
{
    enum { WINDOW_MAX = 16 };
    an_reference_shape out = shape_out(node, in.n);
    size_t places[WINDOW_MAX * WINDOW_MAX];
    for (int n = 0; n < out.n; n++)
        for (int c = 0; c < out.c; c++)
            for (int h = 0; h < out.h; h++)
                for (int w = 0; w < out.w; w++) {
                    size_t to = at(out, n, c, h, w);
                    int count = pool_places(node, in, (int[]){n, c, h, w}, places);
                    pool_one(node, places, count, x, y ? y + to : NULL, dy ? dy[to] : 0, dx);
                }
}

static void dropout(const an_node *node, an_reference_shape in, const uint8_t *kept, const double *from, double *to,
                    bool add)
{
    for (size_t i = 0; i < values_of(in); i++) {
        double value = !kept ? from[i] : kept[i] ? from[i] / (1 - node->dropout) : 0;
        to[i] = add ? to[i] + value : value;
    }
}

void an_reference_forward(const an_node *node, an_reference_shape in, const double *x, const an_reference_weights *w,
                          const uint8_t *kept, double *y)
{
    if (node->has_weights)
        weighted_forward(node, in, x, w, y);
    else if (node->kind == AN_OP_LRN)
        lrn_forward(node, in, x, y);
    else if (node->kind == AN_OP_ACTIVATION)
        activation_forward(node, in, x, y);
    else if (node->kind == AN_OP_POOL)
        pool(node, in, x, y, NULL, NULL);
    else if (node->kind == AN_OP_DROPOUT)
        dropout(node, in, kept, x, y, false);
    else if (node->kind != AN_OP_LOSS) /* an_reference_loss */
        fail_msg("the reference has no layer of kind '%s'", an_op_name(node->kind));
}

void an_reference_backward(const an_node *node, an_reference_shape in, const double *x, const double *y, double *dy,
                           const an_reference_weights *w, const uint8_t *kept, double *dx)
{
    if (node->has_weights)
        weighted_backward(node, in, x, y, dy, w, dx);
    else if (node->kind == AN_OP_LRN)
        lrn_backward(node, in, x, dy, dx);
    else if (node->kind == AN_OP_ACTIVATION)
        activation_backward(node, in, y, dy, dx);
    else if (node->kind == AN_OP_POOL)
        pool(node, in, x, NULL, dy, dx);
    else if (node->kind == AN_OP_DROPOUT)
        dropout(node, in, kept, dy, dx, true);
}

double an_reference_loss(an_reference_shape in, const double *logits, const uint32_t *labels, int count,
                         double *probabilities, double *dx)
{
    double loss = 0;
    if (dx)
        memset(dx, 0, (size_t)in.n * (size_t)in.c * sizeof *dx);
    for (int row = 0; row < count; row++) {
        const double *z = logits + (size_t)row * (size_t)in.c;
        double most = z[0], sum = 0;
        for (int i = 1; i < in.c; i++)
            most = fmax(most, z[i]);
        for (int i = 0; i < in.c; i++)
            sum += exp(z[i] - most);
        for (int i = 0; i < in.c; i++) {
            double p = exp(z[i] - most) / sum;
            size_t place = (size_t)row * (size_t)in.c + (size_t)i;
            if (probabilities)
                probabilities[place] = p;
            if (dx)
                dx[place] = (p - ((uint32_t)i == labels[row])) / count;
        }
        loss += (log(sum) + most - z[labels[row]]) / count;
    }
    return loss;
}

void an_reference_mask(const an_node *node, int n, uint64_t seed, uint64_t step, uint8_t *kept)
{
    an_rng rng = an_rng_make(seed, AN_RNG_DROPOUT, step, (uint64_t)node->layer);
    size_t plane = (size_t)node->height * (size_t)node->width;
    for (int row = 0; row < n; row++)
        for (int c = 0; c < node->layer_channels; c++)
            for (size_t pixel = 0; pixel < plane; pixel++) {
                bool keep = an_rng_uniform(&rng) >= node->dropout;
                int own = c - node->channel_offset;
                if (own >= 0 && own < node->channels)
                    kept[((size_t)row * (size_t)node->channels + (size_t)own) * plane + pixel] = keep;
            }
}
