/* AlexNet (Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", NIPS
 * 2012). */
#ifndef AN_MODEL_NETS_ALEXNET_H
#define AN_MODEL_NETS_ALEXNET_H

#include "model/graph/graph.h"

/* Sets of layers. */
enum { AN_ALEXNET_CONV1 = 1, AN_ALEXNET_CONV2 = 2, AN_ALEXNET_CONV5 = 4, AN_ALEXNET_FC6 = 8, AN_ALEXNET_FC7 = 16 };

/* How conv1's windows of 11, 4 apart, meet an image whose side does not fit. */
typedef enum {
    AN_ALEXNET_OVERHANG, /* the last ones overhang right and bottom, as in the original program; 227 fits exactly */
    AN_ALEXNET_PAD2      /* two zeros all around, the remainder cut off: as in torchvision */
} an_alexnet_padding;

typedef struct {
    int classes; /* 1000 */
    int input;   /* crop side: 224 */
    an_alexnet_padding padding;
    bool split;       /* two logical devices (the paper) or one column without groups */
    bool communicate; /* conv3, fc6 and fc7 see both halves; false: only fc8 does */
    an_activation activation;
    double dropout;          /* 0.5 */
    unsigned dropout_layers; /* fc6, fc7 */
    unsigned lrn_layers;     /* conv1, conv2; conv5 is possible */
    double lrn_alpha; /* 1e-4: the sum is divided by n, as in the original program; the printed formula is 5e-4 */
    int pool;         /* window: 3 (overlapping) or 2; always 2 apart */
} an_alexnet_options;

an_alexnet_options an_alexnet_defaults(void);
int an_alexnet_build(const an_alexnet_options *options, an_graph *out);

#endif
