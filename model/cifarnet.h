/* A four-layer convolutional network for CIFAR-10, as in Figure 1 of the AlexNet paper (which gives no layer sizes;
 * these are those of cuda-convnet's published 32-32-64 network: three convolutions of 5x5 with pooling, one fully
 * connected layer). All pooling is max pooling, 3 wide, 2 apart, windows overhanging right and bottom. */
#ifndef AN_MODEL_CIFARNET_H
#define AN_MODEL_CIFARNET_H

#include "model/graph.h"

typedef struct {
    int classes; /* 10 */
    int input;   /* side: 32 */
    an_activation activation;
} an_cifar_options;

an_cifar_options an_cifar_defaults(void);
int an_cifar_build(const an_cifar_options *options, an_graph *out);

#endif
