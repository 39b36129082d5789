/* A chain of operations that a backend may compute in one, compared with the double-precision reference. Failures end
 * the test. */
#ifndef AN_TESTS_MODEL_OP_CHAIN_H
#define AN_TESTS_MODEL_OP_CHAIN_H

#include "op_rig.h"

/* A convolution with a rectifier, normalisation within groups of channels, and overlapping maximum pooling: forward and
 * backward. */
void an_test_chain_check(const an_test_target *t, int side, int groups);

#endif
