/* bench_step: a training step beside the primitives for the same shapes, each alone: oneDNN's and own ones. */
#ifndef AN_BENCHMARKS_BENCH_STEP_H
#define AN_BENCHMARKS_BENCH_STEP_H

#include <stdbool.h>

#include "base/buffer.h"
#include "model/cpu/winograd.h"
#include "model/graph.h"

typedef struct an_bench_primitives an_bench_primitives;

/* For every operation of a fused graph that oneDNN has, forward and backward: every way of doing it that is known to be
 * good somewhere (the library's own choice of order, channels last, Winograd, groups as two halves, in bf16 our own
 * Winograd). */
int an_bench_primitives_create(an_bench_primitives **out, const an_graph *fused, int batch, bool bf16);
void an_bench_primitives_free(an_bench_primitives *primitives);

/* Time each of them once. */
int an_bench_primitives_round(an_bench_primitives *primitives);
void an_bench_primitives_restart(an_bench_primitives *primitives); /* forget the rounds so far */

/* Seconds of the fastest way of each operation, medians over the rounds, summed; CPU seconds of the same ways; a line
 * for each into out. */
int an_bench_primitives_sum(an_bench_primitives *primitives, double *seconds, double *cpu_seconds, an_buffer *out);

/* bench_step_winograd.c: one pass of a convolution by the CPU backend's own kernels, on shared buffers. */
#define AN_BENCH_ARGUMENTS 5

typedef struct {
    an_winograd plan;
    bool gradient; /* of the weights */
} an_bench_winograd;

/* pass: 0 forward, 1 backward data, 2 backward weights. Raises sizes to what it needs; false: it cannot. */
bool an_bench_winograd_make(an_bench_winograd *out, const an_node *from, const an_node *node, int batch, int pass,
                            size_t sizes[AN_BENCH_ARGUMENTS]);
void an_bench_winograd_run(const an_bench_winograd *w, void *const buffers[AN_BENCH_ARGUMENTS]);

double an_bench_cpu_seconds(void);                 /* of the process so far */
double an_bench_median(double *values, int count); /* sorts */

#endif
