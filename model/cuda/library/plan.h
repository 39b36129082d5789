/* Convolutions as cuDNN operation graphs. A plan is made for the properties of a device, which come from a device that
 * is present or from a description of one: what is accepted without hardware is what runs on it.
 *
 * Layouts: activations N x H x W x C, weights O x H x W x I/groups. Intermediate results are virtual and fp32. */
#ifndef AN_MODEL_CUDA_LIBRARY_PLAN_H
#define AN_MODEL_CUDA_LIBRARY_PLAN_H

#include <cudnn.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buffer.h"
#include "model/graph/graph.h"

/* AN_CUDA_F32 keeps away from tensor cores; AN_CUDA_TF32 is fp32 in memory, rounded by them. */
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
    int n;
    int c, h, w;   /* of the input, channels as they lie in memory */
    int k, oh, ow; /* of the output */
    int kernel, stride, pad_before, pad_after, groups;
    an_activation activation;
} an_plan_spec;

/* Channels of an image in memory: 16 bytes a pixel, what the engines read at once. */
int an_plan_image_channels(int channels, an_cuda_precision precision);
/* A convolution node whose input has stored_c channels in memory. */
an_plan_spec an_plan_spec_of(an_plan_kind kind, an_cuda_precision precision, const an_node *node, int n, int stored_c,
                             int h, int w);

/* The roles of a plan's tensors; also their unique ids. */
enum { AN_PLAN_X = 'x', AN_PLAN_Y = 'y', AN_PLAN_W = 'w', AN_PLAN_B = 'b' };

/* For the current device; and for a device that is only described (JSON as in
 * CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION). */
int an_plan_device_current(cudnnBackendDescriptor_t *out);
int an_plan_device_described(cudnnBackendDescriptor_t *out, const char *json);

#define AN_PLAN_DESCRIPTORS 128
#define AN_PLAN_ENGINE_NAME 384
#define AN_PLAN_SUBJECT 160
typedef struct {
    cudnnBackendDescriptor_t made[AN_PLAN_DESCRIPTORS]; /* everything, in order of making */
    int made_count;
    cudnnBackendDescriptor_t plan, pack;
    int64_t workspace, engine;      /* bytes; the engine's number within its graph */
    char name[AN_PLAN_ENGINE_NAME]; /* of the engine with its settings: what makes the same plan again */
    double microseconds;            /* as measured; 0: it was not */
    char subject[AN_PLAN_SUBJECT];
} an_plan;

/* Computed by the engine of that name; NULL: the first of the heuristic's that suits. AN_EUNSUPPORTED if no
 * deterministic engine takes the graph. device stays the caller's. */
int an_plan_make(an_plan *plan, const an_plan_spec *spec, cudnnBackendDescriptor_t device, const char *engine);
/* Names of the engines that suit, the heuristic's favourite first. Not all of them need take the graph. */
#define AN_PLAN_PROPOSALS 24
int an_plan_engines(const an_plan_spec *spec, cudnnBackendDescriptor_t device, char (*names)[AN_PLAN_ENGINE_NAME],
                    int room, int *count);
void an_plan_free(an_plan *plan); /* a zeroed one is fine */
/* What is computed, in words. */
void an_plan_subject(const an_plan_spec *spec, char *text, size_t size);
/* Addresses for the execution: x, y, w and for AN_PLAN_FORWARD b; new ones take the place of old ones. */
int an_plan_bind(an_plan *plan, const an_plan_spec *spec, void *x, void *y, void *w, void *b, void *workspace);
int an_plan_run(const an_plan *plan, cudnnHandle_t handle);

#endif
