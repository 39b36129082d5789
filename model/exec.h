/* Running a graph: training and evaluation steps on a placement of logical onto physical devices. All memory, plans and
 * workspaces are made in an_exec_create; a step allocates nothing, but for one that makes what an_exec_replay_set tells
 * of. One thread drives an exec. */
#ifndef AN_MODEL_EXEC_H
#define AN_MODEL_EXEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/choices.h"
#include "base/format.h"
#include "model/graph/graph.h"

typedef enum {
    AN_PRECISION_F32,
    AN_PRECISION_BF16, /* activations, their gradients and working weights in bf16; sums, master weights, momentum,
                          weight gradients, logits and loss in f32 */
    AN_PRECISION_TF32  /* f32 with products of 10-bit mantissas: GPUs only */
} an_precision;

/* What becomes of images that devices take as bytes: ((byte - mean) + shift) * scale in fp32, in this order, as the
 * loader does it for the others; shift is the image's own. */
typedef struct {
    const float *mean; /* side x side x 3, RGB, of which an image's crop is taken; NULL: none */
    int side;          /* 1: the same colour everywhere */
    double scale;      /* above 0 */
} an_conversion;

typedef struct {
    const char *devices; /* "cpu"; "cpu,cpu": each half of split layers on its own share of the processors */
    int batch;           /* samples per step at most */
    int threads;         /* compute threads per CPU device; 0: all processors, divided among the devices */
    bool training;       /* false: no gradients, less memory */
    uint64_t seed;       /* of dropout */
    an_precision precision;
    bool direct; /* convolutions by their definition only, and normalisation with exact roots: slower, and nearer
                    to other programs' rounding than Winograd's transform */
    an_choices *choices; /* where there are several kernels: those to take, and room for those found now by measuring,
                            which takes a while; must outlive the exec. NULL: what libraries advise, unmeasured */
    const an_conversion *conversion; /* NULL: bytes as they are. Borrowed by an_exec_create */
    bool columns; /* keep the halves of split layers apart although one device runs both: for comparisons */
} an_exec_options;

typedef struct an_exec an_exec;

/* Copies the graph. */
int an_exec_create(an_exec **out, const an_graph *graph, const an_exec_options *options);
void an_exec_free(an_exec *exec);

/* How the images handed to step and evaluate must lie in memory: finished, or as bytes for the device to convert. */
an_format an_exec_input_format(const an_exec *exec);

typedef struct {
    const void *pixels;         /* samples in the input format */
    const an_image_draw *draws; /* of bytes: one for each; NULL: nothing was drawn. Finished images need none */
} an_images;

/* The rank of a label is the number of classes with a higher probability, or with the same probability and a lower class
 * number: its place in the list of predictions. Probabilities are compared as the floats that an_exec_evaluate gives. */
typedef struct {
    double loss;         /* mean cross entropy of the count samples */
    uint32_t top1, top5; /* samples whose label has a rank below 1, below 5 */
} an_exec_result;

/* Forward and backward; gradients of the mean loss are left for an_exec_update. Returns when the loss is known: devices
 * that queue their work may still be at backward, and at the update after an_exec_update, while the host goes on; what
 * reads their values waits. images: count samples in the input format, no longer needed afterwards; step keys dropout.
 * count may be smaller than batch (the mean is over count). A loss that is not finite is AN_ECORRUPT naming the first
 * layer whose output is not finite. */
int an_exec_step(an_exec *exec, const an_images *images, const uint32_t *labels, uint32_t count, uint64_t step,
                 an_exec_result *out);

/* Tells which batch the step after the next one will take, so that it can travel to the devices while that step runs:
 * it must stay as it is until it has been stepped. A hint; nothing else changes, and other images may be stepped
 * instead. */
void an_exec_prefetch(an_exec *exec, const an_images *images, uint32_t count);

/* SGD with momentum: v <- momentum v - decay rate w - rate g; w <- w + v (paper, section 5). Biases use
 * bias_rate_scale * rate and bias_decay. */
typedef struct {
    double rate, momentum, decay;
    double bias_rate_scale, bias_decay;
} an_sgd;
int an_exec_update(an_exec *exec, const an_sgd *sgd);

/* Devices that can repeat a whole step at a word are told to from the second training step of a whole batch on: the
 * host has less to do, and the results are the same. A step of fewer samples is queued op by op, as is an evaluation.
 * wanted: true at first. */
void an_exec_replay_set(an_exec *exec, bool wanted);
bool an_exec_replays(const an_exec *exec); /* the last such step was, or recorded what the next one repeats */
/* Why steps are queued op by op although the devices should be able to repeat them, for a warning; NULL: they are not.
 */
const char *an_exec_replay_refusal(const an_exec *exec);

/* Until all that was queued is done: for clocks. */
int an_exec_wait(an_exec *exec);

/* Forward without dropout. probabilities: count x classes floats, row by row; may be NULL. labels and out may be NULL;
 * without labels out stays as it is. A loss or, without labels, outputs that are not finite are AN_ECORRUPT as in
 * an_exec_step. */
int an_exec_evaluate(an_exec *exec, const an_images *images, const uint32_t *labels, uint32_t count,
                     float *probabilities, an_exec_result *out);

/* Parameters by layer, in canonical form: conv O x I/groups x K x K, dense O x I (I = C*H*W in NCHW order), bias O; the
 * halves of a split layer joined along O. */
typedef struct {
    char name[32]; /* "conv1.weight", "conv1.bias" */
    int shape[4], rank;
    uint64_t size;                    /* floats */
    uint64_t fan_in;                  /* inputs of one output */
    double init_deviation, init_bias; /* of the node: the paper's initial values */
    bool bias;
    int layer; /* ordinal, keys initialisation */
} an_parameter;

typedef enum { AN_PARAMETER_VALUE, AN_PARAMETER_MOMENTUM, AN_PARAMETER_GRADIENT } an_parameter_kind;

int an_exec_parameter_count(const an_exec *exec);
const an_parameter *an_exec_parameter(const an_exec *exec, int number);
int an_exec_parameter_get(an_exec *exec, int number, an_parameter_kind kind, float *out);
int an_exec_parameter_set(an_exec *exec, int number, an_parameter_kind kind, const float *values);

/* The activations of a named layer after the last evaluate or step, canonical N x C x H x W, halves joined:
 * out has room for count * C*H*W floats. For features and tests. */
int an_exec_activation_get(an_exec *exec, const char *layer, uint32_t count, float *out);

/* What runs, in order: layers on devices (a split layer twice where its halves run apart), the image, joins. Times are
 * sums since the last reset, waiting for the other device included; read and reset them between steps. Devices that
 * queue their work are timed by an_exec_profile only: without it, it is the host's time to queue it, and steps that a
 * device repeats as a whole are not in them. */
typedef struct {
    char name[16];
    const char *kind;
    int device;
    double flop; /* of one image, forward */
    uint64_t parameters;
    uint64_t memory;                  /* bytes: output, gradient, parameters, what is kept for backward */
    uint64_t runs;                    /* forward ones */
    double forward, backward, update; /* seconds */
} an_exec_layer;
int an_exec_layer_count(const an_exec *exec);
/* From now on the layers' times are those of the devices' own clocks, where they have any, and the update is among
 * them. Each step then waits for the devices, so that nothing overlaps from one to the next. */
void an_exec_profile(an_exec *exec);
void an_exec_layer_get(const an_exec *exec, int number, an_exec_layer *out);
void an_exec_layers_reset(an_exec *exec);

/* Seconds since the last call, on the own clock of the device that was worst off. Zeros where devices have none. */
typedef struct {
    double idle;  /* it had nothing to do before a batch: the host was late with it, or its images had not arrived */
    double copy;  /* of these, with the batch queued and its images on their way */
    double total; /* in all */
} an_device_time;
int an_exec_device_time(an_exec *exec, an_device_time *out);

/* Memory for the images of step and evaluate that suits the devices best, zeroed; other memory works too. exec must
 * outlive it.
 */
int an_exec_images_alloc(an_exec *exec, void **out, size_t size);
void an_exec_images_free(an_exec *exec, void *images, size_t size);

uint64_t an_exec_memory(const an_exec *exec);              /* bytes of tensors and workspaces */
int an_exec_describe(const an_exec *exec, an_buffer *out); /* placement, chosen kernels: for logs */

#endif
