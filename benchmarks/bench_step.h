/* bench_step: a training step beside the primitives for the same shapes, each alone: oneDNN's and own ones. */
#ifndef AN_BENCHMARKS_BENCH_STEP_H
#define AN_BENCHMARKS_BENCH_STEP_H

#include <stdbool.h>

#include "base/buffer.h"
#include "model/cpu/kernels/lrn.h"
#include "model/cpu/kernels/winograd.h"
#include "model/graph/graph.h"

typedef struct an_bench_primitives an_bench_primitives;

/* For every operation of a fused graph that oneDNN has, forward and backward: every way of doing it that is known to be
 * good somewhere (the library's own choice of order, channels last, Winograd, groups as two halves, our own kernels).
 */
int an_bench_primitives_create(an_bench_primitives **out, const an_graph *fused, int batch, bool bf16);
void an_bench_primitives_free(an_bench_primitives *primitives);

/* Time each of them once. */
int an_bench_primitives_round(an_bench_primitives *primitives);
void an_bench_primitives_restart(an_bench_primitives *primitives); /* forget the rounds so far */

/* Seconds of the fastest way of each operation, medians over the rounds, summed; CPU seconds of the same ways; a line
 * for each into out. */
int an_bench_primitives_sum(an_bench_primitives *primitives, double *seconds, double *cpu_seconds, an_buffer *out);

/* bench_step_own.c: one pass of an operation by the CPU backend's own kernels, on shared buffers. */
#define AN_BENCH_ARGUMENTS 5

typedef enum { AN_BENCH_FORWARD, AN_BENCH_DATA, AN_BENCH_WEIGHTS } an_bench_pass;

typedef struct {
    an_bench_pass pass;
    an_op_kind kind;
    an_winograd conv; /* the pass's */
    an_lrn_shape lrn;
} an_bench_own;

/* Raises sizes to what the pass needs; false: there is no own kernel for it. */
bool an_bench_own_make(an_bench_own *out, const an_node *from, const an_node *node, int batch, bool bf16,
                       an_bench_pass pass, size_t sizes[AN_BENCH_ARGUMENTS]);
void an_bench_own_run(const an_bench_own *own, void *const buffers[AN_BENCH_ARGUMENTS]);

double an_bench_cpu_seconds(void);                 /* of the process so far */
double an_bench_median(double *values, int count); /* sorts */

#endif
