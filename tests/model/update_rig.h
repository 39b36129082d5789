/* What tests of training steps share: images in any format, and parameters. Failures end the test. */
#ifndef AN_TESTS_MODEL_UPDATE_RIG_H
#define AN_TESTS_MODEL_UPDATE_RIG_H

#include "model/exec.h"

/* Random images of small_net.h, another set for each number: as exec takes them, (byte - 128) / 128, in out; and as
 * floats in canonical order. out has room for as many floats. They may be the same place where exec takes floats. */
void an_update_images(an_exec *exec, uint64_t number, size_t count, void *out, float *floats);
float *an_update_parameter(an_exec *exec, int number, an_parameter_kind kind); /* the caller frees it */
/* One kind of all parameters is another kind of another exec's, to the bit. */
void an_update_same(an_exec *one, an_parameter_kind kind, an_exec *two, an_parameter_kind other);

#endif
