/* Convolutions as cuDNN operation graphs. A plan is made for the properties of a device, which are read from a device
 * that is present or from a description of one. So cuDNN can be asked on any machine whether it accepts a plan.
 *
 * Layouts: activations N x H x W x C, or a view of neighbouring channels of such a tensor; weights O x H x W x
 * I/groups. Intermediate results are virtual and fp32. A plan owns its descriptors until an_plan_free; the memory that
 * it is bound to is the caller's. A plan belongs to one thread and runs on the stream of the handle. */
#ifndef AN_MODEL_CUDA_LIBRARY_PLAN_H
#define AN_MODEL_CUDA_LIBRARY_PLAN_H

#include <cudnn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "model/graph/graph.h"

/* AN_CUDA_F32 computes without tensor cores. AN_CUDA_TF32 is fp32 in memory, which tensor cores round to TF32. */
typedef enum { AN_CUDA_F32, AN_CUDA_TF32, AN_CUDA_BF16 } an_cuda_precision;
const char *an_cuda_precision_name(an_cuda_precision precision);

typedef enum {
    AN_PLAN_FORWARD, /* y = activation(x * w + b) */
    AN_PLAN_DATA,    /* dx from dy and w */
    AN_PLAN_WEIGHTS  /* dw from dy and x */
} an_plan_kind;
const char *an_plan_kind_name(an_plan_kind kind);

typedef struct {
    an_plan_kind kind;
    an_cuda_precision precision;
    int n;         /* samples */
    int c, h, w;   /* of the input; c includes padding */
    int k, oh, ow; /* of the output */
    int kernel, stride, groups;
    int pad; /* on all sides: engines were seen to compute something else where padding is unequal */
    an_activation activation;
    /* Of a view of some of a tensor's channels: how many values lie from one pixel to the next. 0: c and k, the pixels
     * follow each other. */
    int x_pitch, y_pitch;
} an_plan_spec;

/* How many values lie from one pixel to the next. */
int an_plan_x_pitch(const an_plan_spec *spec);
int an_plan_y_pitch(const an_plan_spec *spec);

/* The channels of an image in memory: padded so that a pixel takes a multiple of 16 bytes, which the engines read at
 * once. */
int an_plan_image_channels(int channels, an_cuda_precision precision);
/* The spec of a convolution node for n samples of h x w pixels with stored_c channels in memory. Padding that is
 * unequal has no spec: an_plan_make fails with AN_EINTERNAL. */
an_plan_spec an_plan_spec_of(an_plan_kind kind, an_cuda_precision precision, const an_node *node, int n, int stored_c,
                             int h, int w);

/* The roles of a plan's tensors, which are also their unique ids in the graph. */
enum { AN_PLAN_X = 'x', AN_PLAN_Y = 'y', AN_PLAN_W = 'w', AN_PLAN_B = 'b' };

/* The properties of the current device, or of a device that is only described (in JSON, as in
 * CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION). The caller destroys the descriptor. */
int an_plan_device_current(cudnnBackendDescriptor_t *out);
int an_plan_device_described(cudnnBackendDescriptor_t *out, const char *json);

#define AN_PLAN_DESCRIPTORS 128
#define AN_PLAN_ENGINE_NAME 384
#define AN_PLAN_SUBJECT 208
typedef struct {
    cudnnBackendDescriptor_t made[AN_PLAN_DESCRIPTORS]; /* all descriptors, in the order in which they were made */
    int made_count;
    cudnnBackendDescriptor_t plan, packs[2]; /* packs: the sets of addresses that it is bound to */
    int pack_count;
    int64_t workspace, engine;      /* bytes; the engine's number within its graph */
    char name[AN_PLAN_ENGINE_NAME]; /* the engine with its settings; given to an_plan_make, it makes the same plan */
    double microseconds;            /* as measured when the engine was chosen; 0: it was not measured */
    char subject[AN_PLAN_SUBJECT];
} an_plan;

/* Makes a plan that runs on the engine of that name, or if it is NULL, on the first one that the heuristic proposes and
 * that suits. AN_EUNSUPPORTED if no deterministic engine accepts the graph. device stays the caller's. */
int an_plan_make(an_plan *plan, const an_plan_spec *spec, cudnnBackendDescriptor_t device, const char *engine);
/* The names of the engines that suit, the heuristic's first choice first. Some may still refuse the graph. */
#define AN_PLAN_PROPOSALS 24
int an_plan_engines(const an_plan_spec *spec, cudnnBackendDescriptor_t device, char (*names)[AN_PLAN_ENGINE_NAME],
                    int room, int *count);
void an_plan_free(an_plan *plan); /* a zeroed one is fine */
/* Writes in words what is computed. */
void an_plan_subject(const an_plan_spec *spec, char *text, size_t size);
/* Sets the addresses that a run uses: x, y, w and, for AN_PLAN_FORWARD, b. They replace earlier ones. For the gradients
 * x, y or w is the gradient of that tensor. */
int an_plan_bind(an_plan *plan, const an_plan_spec *spec, void *x, void *y, void *w, void *b, void *workspace);
/* Adds a second set, of other tensors of the same shape. */
int an_plan_bind_second(an_plan *plan, const an_plan_spec *spec, void *x, void *y, void *w, void *b, void *workspace);
/* Queues the plan on the handle's stream: once for each set of addresses. */
int an_plan_run(const an_plan *plan, cudnnHandle_t handle);

#endif
