/* bench_step: a training step beside oneDNN's own primitives for the same shapes, each alone. */
#ifndef AN_BENCHMARKS_BENCH_STEP_H
#define AN_BENCHMARKS_BENCH_STEP_H

#include <stdbool.h>

#include "base/buffer.h"
#include "model/graph.h"

typedef struct an_bench_primitives an_bench_primitives;

/* For every operation of a fused graph that oneDNN has, forward and backward: every way of doing it that is known to be
 * good somewhere (the library's own choice of order, channels last, Winograd, groups as two halves). */
int an_bench_primitives_create(an_bench_primitives **out, const an_graph *fused, int batch, bool bf16);
void an_bench_primitives_free(an_bench_primitives *primitives);

/* Time each of them once. */
int an_bench_primitives_round(an_bench_primitives *primitives);
void an_bench_primitives_restart(an_bench_primitives *primitives); /* forget the rounds so far */

/* Seconds of the fastest way of each operation, medians over the rounds, summed; CPU seconds of the same ways; a line
 * for each into out. */
int an_bench_primitives_sum(an_bench_primitives *primitives, double *seconds, double *cpu_seconds, an_buffer *out);

double an_bench_cpu_seconds(void);                 /* of the process so far */
double an_bench_median(double *values, int count); /* sorts */

#endif
