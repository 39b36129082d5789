/* A four-layer convolutional network for CIFAR-10, as in Figure 1 of the AlexNet paper. The paper gives no layer sizes;
 * these are those of the authors' own program, cuda-convnet, in its example layers-19pct: three convolutions of 5x5 to
 * 32, 32 and 64 channels, one fully connected layer; initial deviations of 0.0001, 0.01, 0.01, 0.01 and no biases;
 * pooling 3 wide, 2 apart, windows overhanging right and bottom, of maxima behind the first and of means behind the
 * others. There the first nonlinearity follows its pooling, which is the same: maxima and rising functions may trade
 * places. */
#ifndef AN_MODEL_NETS_CIFARNET_H
#define AN_MODEL_NETS_CIFARNET_H

#include "model/graph/graph.h"

typedef struct {
    int classes; /* 10 */
    int input;   /* side: 32 */
    an_activation activation;
} an_cifar_options;

an_cifar_options an_cifar_defaults(void);
int an_cifar_build(const an_cifar_options *options, an_graph *out);

#endif
