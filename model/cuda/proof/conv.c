/* The operands and the reference of a convolution. */
#include <math.h>

#include "base/error.h"
#include "model/cuda/library/check.h"
#include "model/cuda/proof/proof_private.h"

typedef struct {
    const an_plan_spec *spec;
    an_proof_tensors at;
    an_stored stored;
    uint64_t x_pixels, y_pixels, weights; /* weights: values */
    int x_row, y_row;                     /* values from one pixel to the next */
    double products;                      /* that a result is the sum of, at most */
} problem;

static problem problem_of(const an_plan_spec *s, const an_proof_tensors *at)
{
    uint64_t window = (uint64_t)s->kernel * (uint64_t)s->kernel;
    problem p = {.spec = s,
                 .at = *at,
                 .stored = s->precision == AN_CUDA_BF16 ? AN_STORED_BF16 : AN_STORED_F32,
                 .x_pixels = (uint64_t)s->n * (uint64_t)s->h * (uint64_t)s->w,
                 .y_pixels = (uint64_t)s->n * (uint64_t)s->oh * (uint64_t)s->ow};
    p.x_row = an_plan_x_pitch(s);
    p.y_row = an_plan_y_pitch(s);
    p.weights = (uint64_t)s->k * window * (uint64_t)(s->c / s->groups);
    p.products = s->kind == AN_PLAN_WEIGHTS ? (double)p.y_pixels
                                            : (double)window * (s->kind == AN_PLAN_DATA ? s->k : s->c) / s->groups;
    return p;
}

/* The weights are the second operand of forward and of the gradient of x, the gradient of y that of the weights'. */
static int operands_fill(const an_proof *proof, const problem *p)
{
    const an_plan_spec *s = p->spec;
    uint64_t x = p->x_pixels * (uint64_t)p->x_row, y = p->y_pixels * (uint64_t)p->y_row;
    double scale = an_proof_scale(p->products);
    int rc = s->kind == AN_PLAN_DATA ? an_proof_fill(proof, p->at.y, p->stored, y, AN_PROOF_SEED_FIRST, 1)
                                     : an_proof_fill(proof, p->at.x, p->stored, x, AN_PROOF_SEED_FIRST, 1);
    if (rc)
        return rc;
    rc = s->kind == AN_PLAN_WEIGHTS ? an_proof_fill(proof, p->at.y, p->stored, y, AN_PROOF_SEED_SECOND, scale)
                                    : an_proof_fill(proof, p->at.w, p->stored, p->weights, AN_PROOF_SEED_SECOND, scale);
    if (rc || s->kind != AN_PLAN_FORWARD)
        return rc;
    return an_proof_fill(proof, p->at.b, p->stored, (uint64_t)s->k, AN_PROOF_SEED_BIAS, 1);
}

static void result_set(an_proof *proof, const problem *p)
{
    const an_plan_spec *s = p->spec;
    proof->stored = p->stored;
    proof->adds = false;
    proof->slack = s->activation == AN_ACTIVATION_TANH || s->activation == AN_ACTIVATION_SIGMOID ? ldexpf(1, -10) : 0;
    switch (s->kind) {
    case AN_PLAN_FORWARD:
        proof->result = p->at.y;
        proof->values = p->y_pixels * (uint64_t)p->y_row;
        proof->gaps = p->y_pixels * (uint64_t)(p->y_row - s->k);
        break;
    case AN_PLAN_DATA:
        proof->result = p->at.x;
        proof->values = p->x_pixels * (uint64_t)p->x_row;
        proof->gaps = p->x_pixels * (uint64_t)(p->x_row - s->c);
        break;
    case AN_PLAN_WEIGHTS:
        proof->result = p->at.w;
        proof->values = p->weights;
        proof->gaps = 0;
        break;
    }
    an_proof_allow(proof, s->precision, p->products);
}

static int reference(const an_proof *proof, const problem *p)
{
    const an_plan_spec *s = p->spec;
    an_proof_conv_args args = {.at = {.out = {an_proof_points(proof)}, .items = AN_PROOF_PLACES},
                               .n = s->n,
                               .c = s->c,
                               .h = s->h,
                               .w = s->w,
                               .k = s->k,
                               .oh = s->oh,
                               .ow = s->ow,
                               .kernel = s->kernel,
                               .stride = s->stride,
                               .pad = s->pad,
                               .groups = s->groups,
                               .x_row = p->x_row,
                               .y_row = p->y_row,
                               .data = s->kind == AN_PLAN_DATA,
                               .activation = s->activation,
                               .seed = AN_PROOF_SEED_PLACES,
                               .each = an_proof_each(p->products),
                               .stored = p->stored};
    const void *const operands[] = {
        s->kind != AN_PLAN_DATA ? p->at.x : NULL, s->kind != AN_PLAN_WEIGHTS ? p->at.w : NULL,
        s->kind != AN_PLAN_FORWARD ? p->at.y : NULL, s->kind == AN_PLAN_FORWARD ? p->at.b : NULL};
    for (int i = 0; i < 4; i++)
        args.at.in[i] = operands[i];
    return s->kind == AN_PLAN_WEIGHTS
               ? an_cuda_check(an_kernel_proof_weights(&args, proof->stream), "start the kernel 'proof_weights'")
               : an_cuda_check(an_kernel_proof_conv(&args, proof->stream), "start the kernel 'proof_conv'");
}

int an_proof_conv(an_proof *proof, const an_plan_spec *spec, const an_proof_tensors *at)
{
    problem p = problem_of(spec, at);
    int rc = operands_fill(proof, &p);
    if (rc)
        return rc;
    result_set(proof, &p);
    return reference(proof, &p);
}
