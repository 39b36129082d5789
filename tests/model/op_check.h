/* Compares operations with the double-precision reference (reference.h). Failures end the test. */
#ifndef AN_TESTS_MODEL_OP_CHECK_H
#define AN_TESTS_MODEL_OP_CHECK_H

#include "op_rig.h"

/* Forward; with training also backward, whose gradient of the input is added to another one if accumulate. */
void an_test_op_check(const an_test_target *t, const an_test_case *c, bool training, bool accumulate);
/* Begins a run and computes one op. */
int an_test_op_forward(const an_backend_api *api, an_backend *backend, an_op *op, const an_run *run);

#endif
