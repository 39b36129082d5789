/* The CUDA backend: cuDNN's operation graphs for convolutions, cuBLASLt for fully connected layers, own kernels for the
 * rest. Activations lie N x H x W x C in bf16 or fp32, gradients alike; weights are fp32 masters with a copy in the
 * computing type.
 *
 * DESIGN. One host thread queues everything. Each device has three streams: compute, in which a device's kernels follow
 * one another in the order of the calls; images, which brings the next batch; and copy, which brings what another
 * device computed and may stand still until it has, so that images must not queue up behind it. Who waits for whom:
 *   - values that another device reads: the reader's copy stream waits for `ready` of the op that made them and copies
 * them into an inbox; the reader's compute stream waits for `arrived`;
 *   - gradients go back the same way: `packed` into an outbox on the reader's device, `sent` to the maker's.
 * Every event between devices is recorded and waited for within one pass, forward or backward. Nothing guards a place
 * against the step before, because nothing has to: where values cross, their gradient comes back behind all that read
 * them, before the maker's stream goes on to the next step; and a run without backward ends with the host waiting.
 *
 * A pass of a training step can be recorded as a CUDA graph (recording.c). What depends on the loader's batch and on
 * the step stays outside: feeding, labels, dropout's counter, and the update with its rate. A graph is one piece of
 * work in the first device's compute stream, behind the compute streams of all devices and ahead of them; copy streams
 * need no such order, because whatever else they copy between devices waits for `ready` or `packed` of its own pass. So
 * walks, graphs and evaluations may follow one another in any way.
 * The host waits for the loss of a step, which is known before its backward is done, in synchronize and in the
 * functions that move canonical values. What is made (memory, events, plans) is registered with its backend and freed
 * by close; nothing but recordings is made after finish. */
#ifndef AN_MODEL_CUDA_CUDA_H
#define AN_MODEL_CUDA_CUDA_H

#include "base/choices.h"
#include "model/backend.h"
#include "model/cuda/kernels/kernels.h"
#include "model/cuda/library/check.h"
#include "model/cuda/library/plan.h"

typedef struct an_cuda_owned an_cuda_owned;

struct an_backend {
    int device, batch;
    bool training;
    uint64_t seed;
    an_choices *choices; /* the caller's; NULL: what the libraries' heuristics say */
    an_cuda_precision precision;
    an_stored stored;
    an_conversion conversion; /* mean: until finish */
    cudaStream_t compute, images, copy;
    cudnnHandle_t cudnn;
    cublasLtHandle_t blas;
    cudnnBackendDescriptor_t properties; /* of the device, for plans */
    an_cuda_owned *owned;
    an_op *ops, **ops_end; /* in order of creation */
    void *workspace;       /* shared: one compute stream */
    size_t workspace_size;
    uint64_t memory;
    cudaEvent_t tail;         /* of compute, whenever another device is to wait for it */
    an_recording *recording;  /* that is being made of what is queued; else NULL */
    an_recording *recordings; /* finished ones that it owns */
    void *numbers;            /* dropout's counter in this step, of layer 0; NULL: no dropout */
    /* On the device's clock: when it took up its last batch and the one before, and if `measured` when between them it
     * ran out of work and when it came to wait for the images. */
    cudaEvent_t before, begun, done, asked;
    bool ended, measured; /* done is recorded and begun not yet; all are, and not yet counted */
    int begins;           /* 2: both are recorded */
    an_device_time time;  /* since it was last asked for */
};

/* device.c. what names the memory in errors. Device memory is zeroed. */
int an_cuda_use(const an_backend *cuda); /* makes its device the thread's current one */
int an_cuda_alloc(an_backend *cuda, void **out, size_t size, const char *what);
int an_cuda_alloc_pinned(an_backend *cuda, void **out, size_t size, const char *what);
int an_cuda_alloc_host(an_backend *cuda, void **out, size_t size);
int an_cuda_event(an_backend *cuda, cudaEvent_t *out);
int an_cuda_event_timed(an_backend *cuda, cudaEvent_t *out);
int an_cuda_plan(an_backend *cuda, an_plan **out, const an_plan_spec *spec);
int an_cuda_devices(an_buffer *out); /* a line for each, or why there is none */
int an_cuda_open(an_backend **out, const an_backend_options *options);
void an_cuda_close(an_backend *cuda);
int an_cuda_wait(cudaStream_t stream, cudaEvent_t event);
int an_cuda_record(cudaEvent_t event, cudaStream_t stream);
int an_cuda_launched(cudaError_t status, const an_op *op, const char *what);

/* tensor.c */
typedef struct {
    an_backend *cuda;
    int n, c, h, w;
    int stored_c;                   /* channels in memory, those beyond c zero */
    an_stored stored, slope_stored; /* values: fp32 for logits and probabilities; gradients: as the ops compute */
    void *data, *slope;             /* values, gradient */
} an_cuda_tensor;

int an_cuda_tensor_make(an_cuda_tensor *tensor, an_backend *cuda, const an_node *node, int stored_c, an_stored stored);
uint64_t an_cuda_tensor_items(const an_cuda_tensor *tensor); /* values in memory */
size_t an_stored_size(an_stored stored);
float an_stored_get(const void *values, an_stored stored, size_t i);
void an_stored_put(void *values, an_stored stored, size_t i, float value);
int an_cuda_tensor_get(const an_cuda_tensor *tensor, bool gradient, uint32_t count, float *out);
int an_cuda_tensor_set(const an_cuda_tensor *tensor, bool gradient, uint32_t count, const float *values);
/* Between device and host, waiting for the device. */
int an_cuda_fetch(an_backend *cuda, void *out, const void *from, size_t size);
int an_cuda_put(an_backend *cuda, void *to, const void *values, size_t size);

/* weights.c: O x H x W x I in memory, I with the input's padding; canonical O x I x H x W. A bias is O x 1 x 1 x 1. */
typedef struct {
    int o, i, h, w, stored_i;
    uint64_t items;
    an_stored stored, slope_stored;
    float *master, *velocity;
    void *copy;  /* in the computing type; the master itself if that is fp32 */
    void *slope; /* fp32, but for convolutions: cuDNN lacks deterministic engines that would leave fp32 for bf16 */
} an_cuda_weights;

int an_cuda_weights_make(an_cuda_weights *weights, an_backend *cuda, const int shape[4], int stored_i,
                         an_stored slope_stored, const char *name);
int an_cuda_bias_make(an_cuda_weights *bias, an_backend *cuda, const an_node *node, an_stored copy);
int an_cuda_weights_get(const an_cuda_weights *weights, an_backend *cuda, an_parameter_kind kind, float *out);
int an_cuda_weights_set(const an_cuda_weights *weights, an_backend *cuda, an_parameter_kind kind, const float *values);

/* crossing.c: what a join on another device has of a source. */
typedef struct {
    an_op *join;
    int offset;               /* of the source's channels in the join */
    bool remote, direct;      /* on another device; which this one can access, and the other way */
    void *inbox, *outbox;     /* on the join's device: the source's values, their gradient */
    void *returned;           /* on the source's device: the gradient */
    cudaEvent_t arrived;      /* values: copied */
    cudaEvent_t packed, sent; /* gradient: in the outbox; copied */
} an_crossing;

typedef struct {
    int (*forward)(an_op *op, const an_run *run);
    int (*backward)(an_op *op, const an_run *run);
    int (*bind)(an_op *op);                           /* by finish, when the workspace is there; may be NULL */
    int (*describe)(const an_op *op, an_buffer *out); /* may be NULL */
    void (*release)(an_op *op);                       /* of what is not registered; may be NULL */
} an_op_methods;

#define AN_OP_CROSSINGS_MAX 2

struct an_op { /* first member of every kind's struct */
    an_backend *cuda;
    an_op *next;
    const an_op_methods *methods;
    an_node node;
    an_op *input; /* of ops with one */
    bool input_gradient, accumulate;
    an_cuda_tensor output;
    an_cuda_weights weights, bias;
    an_crossing *crossings[AN_OP_CROSSINGS_MAX]; /* joins that take this output */
    int crossing_count;
    cudaEvent_t ready;              /* made if a crossing is remote */
    cudaEvent_t marks[AN_OP_MARKS]; /* made by the first mark */
};

int an_cuda_op_new(void *out, an_backend *cuda, const an_op_spec *spec, const an_op_methods *methods, size_t size);
int an_cuda_input_create(an_op **out, an_backend *cuda, const an_op_spec *spec);
int an_cuda_conv_create(an_op **out, an_backend *cuda, const an_op_spec *spec);
int an_cuda_dense_create(an_op **out, an_backend *cuda, const an_op_spec *spec);
int an_cuda_lrn_create(an_op **out, an_backend *cuda, const an_op_spec *spec);
int an_cuda_pool_create(an_op **out, an_backend *cuda, const an_op_spec *spec);
int an_cuda_dropout_create(an_op **out, an_backend *cuda, const an_op_spec *spec);
int an_cuda_loss_create(an_op **out, an_backend *cuda, const an_op_spec *spec);
int an_cuda_join_create(an_op **out, an_backend *cuda, const an_op_spec *spec);
int an_cuda_begin(an_backend *cuda, const an_run *run);
int an_cuda_feed(an_op *op, const an_images *images, uint32_t count);
int an_cuda_prefetch(an_op *op, const an_images *images, uint32_t count);
int an_cuda_labels(an_op *op, const uint32_t *labels, uint32_t count);
int an_cuda_result(an_op *op, an_exec_result *out);
int an_cuda_collect(an_op *op);
int an_cuda_update(an_op *op, const an_sgd *sgd);
int an_cuda_update_all(an_backend *cuda, const an_sgd *sgd);
an_format an_cuda_input_format(const an_backend *cuda);

/* time.c: idle and busy time. ask: the host has a batch; begin, next: its images are there; end: all work is queued.
 * None waits. Between a begin and the next call of these, the host has waited for something that comes behind the
 * batch. */
int an_cuda_time_ask(an_backend *cuda);
int an_cuda_time_begin(an_backend *cuda);
int an_cuda_time_end(an_backend *cuda);
int an_cuda_time_get(an_backend *cuda, an_device_time *out);
int an_cuda_mark(an_op *op, int mark);
int an_cuda_between(an_op *op, int from, int to, double *seconds);

/* recording.c */
int an_cuda_record_begin(an_backend *const *devices, int count);
int an_cuda_record_end(an_backend *const *devices, int count, an_recording **out);
int an_cuda_replay(an_recording *recording);
void an_cuda_recordings_free(an_backend *cuda);
/* An event in compute that the host will wait for: behind each replay, if compute is being recorded. */
int an_cuda_record_for_host(an_backend *cuda, cudaEvent_t event);

/* slope.c: the gradient of an op's output turned into that before its activation, and its sums into the bias. */
typedef struct {
    float *partial;
    int chunks;
} an_slope;
int an_cuda_slope(an_slope *slope, an_op *op);
int an_cuda_slope_run(const an_slope *slope, const an_op *op);

#endif
