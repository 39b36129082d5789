#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/rng.h"
#include "support.h"

void *an_test_zeros(size_t count, size_t size)
{
    void *out = calloc(count, size);
    assert_non_null(out);
    return out;
}

float *an_test_random(size_t count, uint64_t stream)
{
    float *out = an_test_zeros(count, sizeof *out);
    an_rng rng = an_rng_make(1, AN_RNG_TEST, 0, stream);
    for (size_t i = 0; i < count; i++)
        out[i] = (float)((int)an_rng_below(&rng, 257) - 128) / 128;
    return out;
}

double *an_test_doubles(const float *values, size_t count)
{
    double *out = an_test_zeros(count, sizeof *out);
    for (size_t i = 0; i < count; i++)
        out[i] = values[i];
    return out;
}

void an_test_close(const char *what, const float *got, const double *expected, size_t count, double tolerance)
{
    double largest = 1e-3;
    for (size_t i = 0; i < count; i++)
        largest = fmax(largest, fabs(expected[i]));
    for (size_t i = 0; i < count; i++)
        if (!(fabs(got[i] - expected[i]) <= tolerance * largest))
            fail_msg("%s: element %zu of %zu is %.9g, expected %.9g", what, i, count, (double)got[i], expected[i]);
}

static bool same_shape(const an_node *a, const an_node *b)
{
    return a->channels == b->channels && a->height == b->height && a->width == b->width && a->groups == b->groups &&
           a->kernel == b->kernel && a->stride == b->stride && a->pad_before == b->pad_before &&
           a->pad_after == b->pad_after && a->layer == b->layer && a->layer_channels == b->layer_channels &&
           a->channel_offset == b->channel_offset;
}

static bool same_numbers(const an_node *a, const an_node *b)
{
    return a->activation == b->activation && a->average == b->average && a->lrn_size == b->lrn_size &&
           a->lrn_alpha == b->lrn_alpha && a->lrn_beta == b->lrn_beta && a->lrn_k == b->lrn_k &&
           a->dropout == b->dropout && a->init_deviation == b->init_deviation && a->init_bias == b->init_bias &&
           a->has_weights == b->has_weights;
}

static bool same_node(const an_node *a, const an_node *b)
{
    bool same = !strcmp(a->name, b->name) && a->kind == b->kind && a->device == b->device;
    same = same && a->input_count == b->input_count;
    for (int i = 0; same && i < a->input_count; i++)
        same = a->inputs[i] == b->inputs[i];
    return same && same_shape(a, b) && same_numbers(a, b);
}

bool an_test_same_graph(const an_graph *one, const an_graph *two)
{
    bool same = one->count == two->count && one->classes == two->classes && one->input_side == two->input_side;
    for (int i = 0; same && i < one->count; i++)
        same = same_node(&one->nodes[i], &two->nodes[i]);
    return same;
}

void an_test_ok(int rc, const char *what)
{
    if (rc)
        fail_msg("%s: %d, %s", what, rc, an_error_message());
}

void an_test_refused(int rc, const char *part)
{
    assert_int_equal(rc, AN_EINVAL);
    if (!strstr(an_error_message(), part))
        fail_msg("message '%s' does not say '%s'", an_error_message(), part);
}
