/* Initial weights. Each is a pure function of seed, layer and place in the layer, so placement and precision do not
 * change them. */
#ifndef AN_MODEL_INIT_H
#define AN_MODEL_INIT_H

#include "model/exec.h"

typedef enum {
    AN_INIT_PAPER, /* weights N(0, 0.01); biases 1 in conv2, conv4, conv5 and the hidden fully connected layers, else 0
                    */
    AN_INIT_HE     /* weights N(0, sqrt(2 / fan_in)), biases 0 (He, Zhang, Ren, Sun 2015, equation 10) */
} an_init_kind;

int an_init_parameters(an_exec *exec, an_init_kind kind, uint64_t seed);

#endif
