/* Values and comparisons for the tests of the model. */
#ifndef AN_TESTS_MODEL_SUPPORT_H
#define AN_TESTS_MODEL_SUPPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "model/graph/graph.h"

float *an_test_random(size_t count, uint64_t stream); /* uniform in -1..1, exact in bf16; the caller frees */
double *an_test_doubles(const float *values, size_t count);
void *an_test_zeros(size_t count, size_t size);
/* Fails the test when a value is off by more than tolerance times the largest expected magnitude (at least 1e-3). */
void an_test_close(const char *what, const float *got, const double *expected, size_t count, double tolerance);
bool an_test_same_graph(const an_graph *one, const an_graph *two); /* node by node, every field */
void an_test_ok(int rc, const char *what);                         /* fails the test with the error's message */
void an_test_refused(int rc, const char *part);                    /* an AN_EINVAL whose message contains part */

#endif
