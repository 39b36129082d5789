/* AlexNet (Krizhevsky, Sutskever, Hinton, "ImageNet classification with deep convolutional neural networks", NIPS
 * 2012). */
#ifndef AN_MODEL_NETS_ALEXNET_H
#define AN_MODEL_NETS_ALEXNET_H

#include "model/graph/graph.h"

/* Sets of layers. */
enum {
    AN_ALEXNET_CONV1 = 1,
    AN_ALEXNET_CONV2 = 2,
    AN_ALEXNET_CONV3 = 4,
    AN_ALEXNET_CONV4 = 8,
    AN_ALEXNET_CONV5 = 16,
    AN_ALEXNET_FC6 = 32,
    AN_ALEXNET_FC7 = 64
};

typedef enum {
    AN_ALEXNET_TWO_COLUMNS, /* two logical devices: the paper's network */
    AN_ALEXNET_ONE_COLUMN,  /* the same layers in one, each of which sees all of the one before */
    /* What the paper compares its network with in section 3.2: one column with half the kernels in conv1 to conv4.
     * conv5 and the fully connected layers keep theirs, so that there are about as many parameters as in two columns
     * (footnote 2). */
    AN_ALEXNET_HALF_COLUMN
} an_alexnet_columns;

/* How conv1's windows of 11, 4 apart, meet an image whose side does not fit. */
typedef enum {
    AN_ALEXNET_OVERHANG, /* the last ones overhang right and bottom, as in the original program; 227 fits exactly */
    AN_ALEXNET_PAD2      /* two zeros all around, the remainder cut off: as in torchvision */
} an_alexnet_padding;

typedef struct {
    int classes; /* 1000 */
    int input;   /* crop side: 224 */
    an_alexnet_padding padding;
    an_alexnet_columns columns;
    bool communicate; /* conv3, fc6 and fc7 see both halves; false: only fc8 does */
    /* Left out: any of conv2 to fc7, with what follows them (normalisation, dropout), but not their pooling, so that
     * the layers behind see images of the same size. */
    unsigned without;
    an_activation activation;
    double dropout;          /* 0.5 */
    unsigned dropout_layers; /* fc6, fc7 */
    unsigned lrn_layers;     /* conv1, conv2; conv5 is possible */
    /* Of those: normalised before the activation, as conv1 in the original program; pooled before they are normalised,
     * as in Caffe's CaffeNet. */
    unsigned lrn_first, lrn_after_pool;
    double lrn_alpha; /* 1e-4: the sum is divided by n, as in the original program; the printed formula is 5e-4 */
    double lrn_k;     /* 2; Caffe: 1 */
    int pool;         /* window: 3 (overlapping) or 2; always 2 apart */
    double init_bias; /* of conv2, conv4, conv5, fc6 and fc7: 1 */
} an_alexnet_options;

an_alexnet_options an_alexnet_defaults(void);
int an_alexnet_build(const an_alexnet_options *options, an_graph *out);

#endif
