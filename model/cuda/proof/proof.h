/* Compares what a library's kernel computes with a reference that does not come from the library, before the kernel is
 * used. Libraries have accepted operations and computed something else (docs/gpu.md).
 *
 * The operands are random, and the reference is summed from them directly, in fp64, at AN_PROOF_PLACES places of the
 * result, many of them at borders (kernels.h). A kernel passes if
 *   - two runs give the same bits everywhere;
 *   - the whole result is finite. Before each run it is filled with what is no number, so values that a kernel leaves
 *     out are found, too, and values between pixels that are not its own to write;
 *   - at each place |result - value| <= rounding |value| + growth spread + slack. A product that is added to the result
 *     may be rounded to the result's type before and again after: there |value| + |product| counts instead of |value|.
 * spread is how far from 0 a sum of as many random products is. The errors of products and of partial sums are
 * independent of each other, so what they add up to grows like it. (The sum of the absolute products bounds the worst
 * case. A weight's gradient adds some 400,000 products: there the roundings of TF32 times that sum are as large as the
 * gradient, and any result would pass.) With k the number of products:
 *
 * - fp32: rounding 2^-22, growth 2^-12 + 2^-18 sqrt(k). This is much more than roundings in fp32, about 2^-24 sqrt(k),
 *   because transforms (Winograd's, Fourier's) magnify them. One product left out shows as 1 / sqrt(k).
 * - tf32: rounding 2^-9, growth 2^-7 + 2^-23 k. A factor that is cut, not rounded, to 10 bits is up to 2^-10 too small,
 *   and so are products and sums; tensor cores cut partial sums as well.
 * - bf16: rounding 2^-8 (the result's, twice; 2^-22 if the result is fp32), growth 2^-9 + 2^-23 k.
 *
 * A kernel whose partial sums are kept in bf16 or in tf32 between the parts of a split sum is beyond these bounds at
 * some places, by little: rounding s partial sums in turn adds up to about 2^-9 sqrt(s) spread. It is not wrong, but it
 * breaks the promise of sums in fp32 while its neighbours in the list keep it, so it is passed over (AN_PROOF_INEXACT)
 * and nobody needs to be warned. As such counts what is off by up to 4 times the bound, at up to an eighth of the
 * places.
 *
 * slack is 2^-10 behind tanh and the sigmoid, which devices have instructions for that are not exact, else 0.
 *
 * All calls come from the thread that makes the network, with the device as the current one. They queue on the stream
 * and wait for it. Memory is the caller's. Functions return an error only if the device fails. */
#ifndef AN_MODEL_CUDA_PROOF_PROOF_H
#define AN_MODEL_CUDA_PROOF_PROOF_H

#include "model/cuda/kernels/kernels.h"
#include "model/cuda/library/plan.h"

#define AN_PROOF_PLACES 2048
#define AN_PROOF_DIGESTS 32768 /* the most parts of a tensor of which digests are made */
/* Bytes of device memory that a proof needs beside the operands: points, their errors, digests of two runs. */
#define AN_PROOF_ROOM                                                                                                  \
    (AN_PROOF_PLACES * (sizeof(an_proof_point) + sizeof(float)) + 2 * AN_PROOF_DIGESTS * sizeof(an_proof_digest))

typedef struct {
    cudaStream_t stream;
    void *room; /* device memory of AN_PROOF_ROOM bytes, aligned to 16 */
    /* Set by an_proof_conv and an_proof_product: */
    void *result;
    an_stored stored;      /* the type of the result */
    uint64_t values, gaps; /* values of the result in memory; those among them that it must not touch */
    bool adds;             /* the kernel adds to the result, which is random before each run */
    float rounding, growth, slack;
    /* Set by the caller who wants to know how long a run takes: two events with a clock, else NULL; and what is too
     * long, in microseconds (0: nothing is). */
    cudaEvent_t clock[2];
    double most;
} an_proof;

/* Fill the operands and queue the reference. result: as above. */
typedef struct {
    void *x, *w, *y, *b; /* as large as the spec says; b only for AN_PLAN_FORWARD */
} an_proof_tensors;
int an_proof_conv(an_proof *proof, const an_plan_spec *spec, const an_proof_tensors *at);

typedef struct {
    int64_t m, n, k; /* D is m x n; column-major, without gaps */
    bool turn_a, turn_b, relu, adds;
    an_cuda_precision precision;
    an_stored stored_d;
    void *a, *b, *bias, *d; /* bias: NULL: none */
} an_proof_matrices;
int an_proof_product(an_proof *proof, const an_proof_matrices *product);

typedef enum {
    AN_PROOF_PASSED,
    AN_PROOF_REFUSED, /* the library did not run the kernel after all */
    AN_PROOF_SLOW,    /* it takes longer than proof->most, and was not compared */
    AN_PROOF_INEXACT, /* its errors are those of sums that are kept with fewer bits than asked for */
    AN_PROOF_FAILED
} an_proof_verdict;

/* Runs a kernel twice and compares. run queues it once. why says in words what is wrong, unless it passed.
 * microseconds, with a clock: how long the second run took; the first may load the kernel. One that takes longer than
 * AN_PROOF_PATIENCE at once is not run again if it is too slow. */
#define AN_PROOF_WHY 160
#define AN_PROOF_PATIENCE 1e5 /* microseconds: more than loading takes */
int an_proof_try(const an_proof *proof, int (*run)(void *context), void *context, an_proof_verdict *verdict,
                 double *microseconds, char why[AN_PROOF_WHY]);

#endif
