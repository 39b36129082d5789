/* torchvision's AlexNet: see torchvision.c. */
#ifndef AN_MODEL_NETS_TORCHVISION_H
#define AN_MODEL_NETS_TORCHVISION_H

#include "model/graph/graph.h"

typedef struct {
    int classes; /* 1000 */
    int input;   /* crop side: 224 */
    an_activation activation;
    double dropout;   /* 0.5; 0: none */
    double init_bias; /* of conv2, conv4, conv5, fc6 and fc7: 1 */
} an_torchvision_options;

an_torchvision_options an_torchvision_defaults(void);
int an_torchvision_build(const an_torchvision_options *options, an_graph *out);

#endif
