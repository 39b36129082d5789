/* The CUDA backend: what its files share. Convolutions run through cuDNN's operation graphs, fully connected layers
 * through cuBLASLt, and all other layers through own kernels.
 *
 * Layout. Activations and their gradients lie N x H x W x C in memory, as bf16 or fp32. Weights are fp32 masters,
 * O x H x W x I, with a copy in the type that the layers compute with.
 *
 * Ownership. Memory, events and plans are registered with the backend that made them and freed when it closes. After
 * finish only recordings, the events of marks, and what replicas.c needs are made.
 *
 * Failure. Functions return 0 or a negative error code and set the message. CUDA reports failures of queued work late,
 * so any later call may return them. A lost device cannot be used again in this process.
 *
 * DESIGN. One host thread makes all calls and queues all work. Each device has three streams, and a fourth where there
 * are replicas:
 *   - compute runs a device's kernels in the order of the calls;
 *   - images copies the next batch to the device and, if it is encoded, decodes it there;
 *   - copy fetches what another device has computed. It may have to wait for that device, so images are not copied on
 *     it;
 *   - reduce adds up gradients over replicas while compute is still in its backward pass (replicas.c).
 *
 * Values cross between devices like this. The op that makes them records `ready` on its compute stream. The copy stream
 * of the device that reads them waits for `ready`, copies the values into an inbox and records `arrived`, for which
 * that device's compute stream waits. Gradients return in the same way: the reading device packs them into an outbox
 * and records `packed`; the copy stream of the making device waits for it, copies, and records `sent`, for which its
 * compute stream waits.
 *
 * Each event between devices is recorded and waited for within one pass, forward or backward. No event keeps a buffer
 * from being overwritten by the next step, because none is needed: where values cross, their gradient comes back after
 * everything that has read them, and the making device waits for it before it begins the next step. A run without
 * backward ends with the host waiting for its results.
 *
 * A pass of a training step can be recorded as a CUDA graph (recording.c). What depends on the batch or the step stays
 * outside the graph: feeding, labels, dropout's counter, and the update with its rate, the norm before it included. A
 * graph runs on the compute stream of the first device. It begins after the work queued on the compute streams of all
 * devices, and their later work waits for it. Copy streams need no such order: all that they copy between devices waits
 * for `ready` or `packed` of its own pass. So ordinary passes, graphs and evaluations can follow each other in any
 * order.
 *
 * The host's thread waits in three places: for the loss of a step, which is known before its backward pass is done; in
 * synchronize; and in the functions that read or write values in canonical order. Another thread may wait for a
 * snapshot (snapshot.c), which has a stream of its own. */
#ifndef AN_MODEL_CUDA_CUDA_H
#define AN_MODEL_CUDA_CUDA_H

#include "model/backend.h"
#include "model/choices.h"
#include "model/cuda/kernels/kernels.h"
#include "model/cuda/library/check.h"
#include "model/cuda/library/plan.h"

typedef struct an_cuda_owned an_cuda_owned;
typedef struct an_cuda_snapshot an_cuda_snapshot;

/* norm.c: the sums of squares of gradients and, for LARS, of weights. */
typedef struct {
    void *sums;                   /* doubles, one for each chunk of all gradients, and behind these one for each of all
                                     weights */
    void *result;                 /* an_norm_result of the last norm that was taken */
    an_norm_result *host;         /* pinned, for squares */
    uint64_t chunks, behind;      /* of gradients; of weights */
    void *trusts;                 /* an_trust_result of each op that learns */
    an_trust_result *host_trusts; /* pinned, for trust_squares */
    int learning;                 /* ops that learn */
    bool trusts_given;            /* the host has given their factors: an_op.trust */
} an_cuda_norm;

struct an_backend {
    int device, batch;
    bool training, averages, gathers, reduces;
    uint64_t seed;
    uint32_t top;        /* of results */
    an_choices *choices; /* of kernels, the caller's; NULL: take the first that the libraries' heuristics propose and
                            that passes its proof */
    an_buffer *notes, *remarks; /* warnings, and what is none; the caller's, valid until finish; NULL: not wanted */
    an_cuda_precision precision;
    an_stored stored;         /* of activations and of the weights that layers compute with */
    an_conversion conversion; /* of images; its mean is the caller's and valid until finish */
    an_image_decoder decoder; /* size 0: there is none */
    double label_smoothing;
    const double *class_weights; /* the caller's, valid until finish; NULL: all 1 */
    int number;                  /* of this device in exec's list */
    cudaStream_t compute, images, copy;
    cudaStream_t reduce;           /* replicas.c; NULL: no reduction has begun yet */
    cudaEvent_t ripe, reduced;     /* replicas.c */
    an_proof_digest *digests;      /* replicas.c; NULL until the first checksum */
    an_proof_digest *digests_host; /* the same, pinned */
    cudnnHandle_t cudnn;
    cublasLtHandle_t blas;
    cudnnBackendDescriptor_t properties; /* of the device, for plans */
    an_cuda_owned *owned;
    an_op *ops, **ops_end; /* in order of creation */
    int processors;        /* multiprocessors of the device */
    void *workspace;       /* of the libraries; one is enough, as kernels on the compute stream never overlap */
    size_t workspace_size;
    uint64_t memory;          /* bytes allocated on the device */
    cudaEvent_t tail;         /* recorded on compute when another device is to wait for all that is queued there */
    an_recording *recording;  /* under way: it captures what is queued; NULL: none is */
    an_recording *recordings; /* finished ones, which this backend owns */
    void *numbers;            /* for dropout: see an_dropout_args; NULL: the network has no dropout */
    /* time.c. begun: the device began its last batch; before: the batch before that. done, asked: see time.c. */
    cudaEvent_t before, begun, done, asked;
    bool ended;          /* done has been recorded since begun was */
    bool measured;       /* all four are recorded, and their times not yet added to time */
    int begins;          /* how many of before and begun are recorded */
    an_device_time time; /* since it was last read */
    an_cuda_snapshot *snapshot;
    an_cuda_norm norm;
};

/* device.c. What is made here is registered with the backend and freed by an_cuda_close. what names the purpose of the
 * memory in error messages. All memory is zeroed. */
int an_cuda_use(const an_backend *cuda); /* makes its device the current one of the calling thread */
int an_cuda_alloc(an_backend *cuda, void **out, size_t size, const char *what);
int an_cuda_alloc_pinned(an_backend *cuda, void **out, size_t size, const char *what);
int an_cuda_alloc_host(an_backend *cuda, void **out, size_t size);
int an_cuda_event(an_backend *cuda, cudaEvent_t *out);
int an_cuda_event_timed(an_backend *cuda, cudaEvent_t *out);
int an_cuda_plan(an_backend *cuda, an_plan **out, const an_plan_spec *spec);
int an_cuda_devices(an_buffer *out); /* appends a line for each device, or one that says why there is none */
int an_cuda_open(an_backend **out, const an_backend_options *options);
void an_cuda_close(an_backend *cuda);
int an_cuda_wait(cudaStream_t stream, cudaEvent_t event);
int an_cuda_record(cudaEvent_t event, cudaStream_t stream);
int an_cuda_launched(cudaError_t status, const an_op *op, const char *what);

/* An image in memory as blocks of side x side pixels, rows x columns of them, the first of which begins pad pixels
 * above and to the left of the image. A block holds its pixels row by row with their channels, and zeros outside of the
 * image (an_convert_args in kernels.h). All zero: no blocks, but pixels. */
typedef struct {
    int side, pad, rows, columns;
} an_cuda_blocks;

/* tensor.c. The output of an op. In memory it lies N x H x W x C or, in two parts, as two such tensors behind each
 * other, each with half of the channels: a layer whose halves see only their own half then reads and writes what is
 * contiguous. */
typedef struct {
    an_backend *cuda;
    int n, c, h, w;
    int stored_c;                   /* channels in memory, of all parts; those beyond c are zero */
    int parts;                      /* 1 or 2 */
    an_cuda_blocks blocks;          /* of an image; stored_c are then values of a block */
    an_stored stored, slope_stored; /* of values (fp32 for logits and probabilities) and of gradients */
    void *data, *slope;             /* values; gradient, NULL without training */
} an_cuda_tensor;

/* States what a tensor is, in one part. Its memory is made later, by finish. */
void an_cuda_tensor_describe(an_cuda_tensor *tensor, an_backend *cuda, const an_node *node, int stored_c,
                             an_stored stored);
int an_cuda_tensor_make(an_cuda_tensor *tensor, const char *name);
uint64_t an_cuda_tensor_items(const an_cuda_tensor *tensor); /* number of values in memory, padding included */
an_rows an_cuda_tensor_rows(const an_cuda_tensor *tensor);
size_t an_stored_size(an_stored stored);
float an_stored_get(const void *values, an_stored stored, size_t i);
void an_stored_put(void *values, an_stored stored, size_t i, float value);
/* The first count samples in canonical order, N x C x H x W. They wait for the compute stream. */
int an_cuda_tensor_get(const an_cuda_tensor *tensor, bool gradient, uint32_t count, float *out);
int an_cuda_tensor_set(const an_cuda_tensor *tensor, bool gradient, uint32_t count, const float *values);
/* Copy bytes between device and host. They wait for the compute stream. */
int an_cuda_fetch(an_backend *cuda, void *out, const void *from, size_t size);
int an_cuda_put(an_backend *cuda, void *to, const void *values, size_t size);

/* weights.c. O x H x W x I in memory, where I includes the input's padding; O x I x H x W in canonical order. A bias is
 * O x 1 x 1 x 1. A convolution may compute with its weights in another form (an_form in kernels.h): then it reads copy
 * and writes written in that form, while all else stays in plain order. Either may have a form without the other. */
typedef struct {
    int o, i, h, w, stored_i;
    uint64_t items;
    an_stored stored, slope_stored;
    float *master, *velocity;
    float *average; /* NULL: not kept */
    float *sum;     /* of the slopes of several runs, or a slope in fp32 for replicas, which is then the gradient; NULL:
                       slope is */
    void *copy;     /* in the type and form that the layer computes with; the master itself if that is plain fp32 */
    void *slope; /* gradient; fp32, except bf16 for bf16 convolutions: cuDNN has no deterministic engines for these with
                    an fp32 result */
    void *written; /* gradient as the layer writes it: slope itself, or a place of its own if it has a form */
    an_form form, written_form; /* of copy and of written; all zero: plain order */
} an_cuda_weights;

/* form, written: of the copy and of the gradient as it is written; NULL for plain order. */
int an_cuda_weights_make(an_cuda_weights *weights, an_backend *cuda, const int shape[4], int stored_i,
                         an_stored slope_stored, const an_form *form, const an_form *written, const char *name);
/* Queue the work that a form needs, and do nothing in plain order: arrange writes the copy once the masters have
 * changed; restore takes the gradient out of the form once it is written. */
int an_cuda_weights_arrange(const an_cuda_weights *weights, const an_op *op);
int an_cuda_weights_restore(const an_cuda_weights *weights, const an_op *op);
int an_cuda_bias_make(an_cuda_weights *bias, an_backend *cuda, const an_node *node, an_stored copy);
int an_cuda_weights_get(const an_cuda_weights *weights, an_backend *cuda, an_parameter_kind kind, float *out);
int an_cuda_weights_set(const an_cuda_weights *weights, const an_op *op, an_parameter_kind kind, const float *values);
/* What norm and update take as the gradient, and its type. */
void *an_cuda_weights_gradient(const an_cuda_weights *weights, an_stored *stored);
/* For replicas, whose sums are made in fp32: copies the slope to the sum if it is stored otherwise and is not gathered
 * anyway. */
int an_cuda_weights_widen(const an_cuda_weights *weights, const an_op *op);
/* Adds the slope to the sum; begin: the sum begins with it. */
int an_cuda_weights_gather(const an_cuda_weights *weights, const an_op *op, bool begin);
/* The kernel's arguments but for the places that it writes. */
an_canonical_args an_cuda_weights_canonical(const an_cuda_weights *weights);

/* layers/crossing.c. The way of one source's output into a join, and of its gradient back. */
typedef struct {
    an_op *join;
    int offset;               /* of the source's channels in the join */
    bool remote;              /* source and join are on different logical devices; else only offset counts */
    bool direct;              /* one GPU, or two that can access each other's memory */
    void *inbox, *outbox;     /* on the join's device: the source's values, and their gradient */
    void *returned;           /* on the source's device: the gradient */
    cudaEvent_t arrived;      /* the values are in the inbox */
    cudaEvent_t packed, sent; /* the gradient is in the outbox; it is in returned */
} an_crossing;

/* What a kind of op does. Called with the op's device as the current one, except release. An op is created before those
 * that read it are known. So its create function only states shapes and makes what depends on nothing else; finish then
 * chooses their parts (layers/parts.c) and makes the outputs of all ops, calls prepare of each in order, makes the
 * workspace, and calls bind. */
typedef struct {
    int (*prepare)(an_op *op); /* makes plans and what else depends on other ops; may be NULL */
    int (*forward)(an_op *op, const an_run *run);
    int (*backward)(an_op *op, const an_run *run);
    int (*bind)(an_op *op);                           /* once there is a workspace; may be NULL */
    int (*describe)(const an_op *op, an_buffer *out); /* may be NULL */
    void (*release)(an_op *op);                       /* frees what is not registered; may be NULL */
} an_op_methods;

#define AN_OP_CROSSINGS_MAX 2

/* An op is the first member of the struct of its kind. */
struct an_op {
    an_backend *cuda;
    an_op *next;
    const an_op_methods *methods;
    an_node node;
    an_op *input;           /* NULL: it has none, or is a join */
    uint64_t memory;        /* bytes that were allocated for it on its device */
    int readers;            /* ops that have it as an input, joins included */
    struct an_slope *slope; /* of its bias; NULL: it has none */
    bool peaks;             /* this and the next two say what pooling computes along with itself: an_cuda_fuse */
    an_op *pooled, *sloped; /* the pooling that does it; NULL: none */
    bool input_gradient, accumulate; /* backward computes the input's gradient; adds it to what is there */
    an_cuda_tensor output;
    an_cuda_weights weights, bias;
    double rate_scale;                           /* of both; 0: they are frozen, and have no gradient */
    an_trust_result *trusted;                    /* on the device: LARS of the weights; NULL: they do not learn */
    double trust;                                /* the same as the host has given it: an_cuda_norm.trusts_given */
    an_crossing *crossings[AN_OP_CROSSINGS_MAX]; /* into the joins that read this output; owned by the joins */
    int crossing_count;
    cudaEvent_t ready;              /* the output is computed; NULL unless a crossing is remote */
    cudaEvent_t marks[AN_OP_MARKS]; /* NULL until the mark is first set */
};

/* backend.c. Makes a zeroed struct of size bytes, whose first member is the op, and appends it to the backend's ops. */
int an_cuda_op_new(void *out, an_backend *cuda, const an_op_spec *spec, const an_op_methods *methods, size_t size);
/* layers/parts.c. Decides in how many parts the ops' outputs lie; finish calls it first. */
int an_cuda_parts_choose(an_backend *cuda);
/* layers/blocks.c. Decides which images lie in blocks; finish calls it before outputs are made. */
void an_cuda_blocks_choose(an_backend *cuda);
/* The functions of the backend's table (model/backend.h), each in the file of its layer. */
int an_cuda_input_create(an_op **out, an_backend *cuda, const an_op_spec *spec);
int an_cuda_conv_create(an_op **out, an_backend *cuda, const an_op_spec *spec);
int an_cuda_dense_create(an_op **out, an_backend *cuda, const an_op_spec *spec);
int an_cuda_lrn_create(an_op **out, an_backend *cuda, const an_op_spec *spec);
int an_cuda_pool_create(an_op **out, an_backend *cuda, const an_op_spec *spec);
int an_cuda_activation_create(an_op **out, an_backend *cuda, const an_op_spec *spec);
int an_cuda_dropout_create(an_op **out, an_backend *cuda, const an_op_spec *spec);
int an_cuda_loss_create(an_op **out, an_backend *cuda, const an_op_spec *spec);
int an_cuda_join_create(an_op **out, an_backend *cuda, const an_op_spec *spec);
int an_cuda_begin(an_backend *cuda, const an_run *run);
int an_cuda_feed(an_op *op, const an_images *images, uint32_t count);
int an_cuda_prefetch(an_op *op, const an_images *images, uint32_t count);
int an_cuda_decoded(an_op *op, uint32_t *sample);
int an_cuda_labels(an_op *op, const an_targets *targets, uint32_t count);
int an_cuda_result(an_op *op, an_exec_result *out);
int an_cuda_collect(an_op *op);
int an_cuda_update(an_op *op, const an_sgd *sgd, double factor);
int an_cuda_update_all(an_backend *cuda, const an_sgd *sgd, double factor);
bool an_cuda_learns(const an_op *op);    /* norm.c; its weights and biases change in updates */
int an_cuda_norm_make(an_backend *cuda); /* its memory; finish calls it once weights are made */
int an_cuda_norm_take(an_backend *cuda, double clip);
int an_cuda_trust(an_backend *cuda, const an_sgd *sgd, double factor);
int an_cuda_trust_squares(an_backend *cuda, an_trust_squares *layers);
int an_cuda_trust_set(an_backend *cuda, const double *layers);
int an_cuda_squares(an_backend *cuda, double *out);
int an_cuda_gather(an_op *op, bool begin);
int an_cuda_exchange(an_op *op);
int an_cuda_gradients(an_op *op, an_gradient out[AN_OP_GRADIENTS], int *count, uint64_t *layout);
int an_cuda_checksum(an_backend *cuda, uint64_t *out);
int an_cuda_reduce_begin(an_backend *cuda, void **stream);
int an_cuda_reduce_end(an_backend *cuda);
an_format an_cuda_input_format(const an_backend *cuda);

/* time.c. How long the device is idle. For each batch the caller calls ask when it queues the batch, begin after the
 * wait for its images, and end when all work is queued. None of these waits. Before the next of these calls, the host
 * must have waited for something that was queued after begin. */
int an_cuda_time_ask(an_backend *cuda);
int an_cuda_time_begin(an_backend *cuda);
int an_cuda_time_end(an_backend *cuda);
int an_cuda_time_get(an_backend *cuda, an_device_time *out);
void an_cuda_time_pause(an_backend *cuda);
int an_cuda_mark(an_op *op, int mark);
int an_cuda_between(an_op *op, int from, int to, double *seconds);

/* recording.c. Recordings belong to the first device and are freed by an_cuda_recordings_free. */
int an_cuda_record_begin(an_backend *const *devices, int count);
int an_cuda_record_end(an_backend *const *devices, int count, an_recording **out);
int an_cuda_replay(an_recording *recording);
void an_cuda_recordings_free(an_backend *cuda);
/* Records an event that the host will wait for on the compute stream. While a recording is under way, the event is
 * recorded after each replay instead. */
int an_cuda_record_for_host(an_backend *cuda, cudaEvent_t event);

/* snapshot.c. The functions of the backend's table. */
int an_cuda_snapshot_open(an_backend *cuda, const an_snapshot_part *parts, int count, const float **out);
void an_cuda_snapshot_close(an_backend *cuda); /* nothing if none is open */
int an_cuda_snapshot_take(an_backend *cuda);
int an_cuda_snapshot_wait(an_backend *cuda);

/* layers/slope.c. Replaces the gradient of an op's output by the gradient before its activation, and sums that over all
 * rows into the bias's gradient. If the op is sloped, the first has been done by then, and the sums over chunks as
 * well. */
typedef struct an_slope {
    float *partial; /* chunks x channels sums */
    float *slices;  /* sums of slices of the chunks; NULL: they are few */
    int chunks;     /* of rows */
} an_slope;
/* How many chunks occupy the device, if a thread works on one of so many groups of channels; blocks: of 4 pixels, of
 * which the chunks are made. */
int an_cuda_chunks(const an_backend *cuda, uint64_t groups, uint64_t blocks);
int an_cuda_slope(an_slope *slope, an_op *op); /* makes it, once the output is made */
int an_cuda_slope_run(const an_slope *slope, const an_op *op);

/* layers/peaks.c. What pooling computes along with itself: the normalisation that it reads, and the gradient before the
 * activation of the convolution before that.
 *
 * fuse finds the poolings that can (op->peaks), before outputs are made. A normalisation that only such a pooling reads
 * is computed by it (op->pooled): its output has no memory, and it does nothing forward. A convolution that only the
 * pooling, or the normalisation before it, reads gets its gradient before the activation and the sums for its bias from
 * their backward pass (op->sloped: the pooling). */
void an_cuda_fuse(an_backend *cuda);
int an_cuda_peaks_forward(const an_op *pool, void *taken);
int an_cuda_peaks_backward(const an_op *pool, const void *taken);
uint64_t an_cuda_peaks_blocks(const an_op *pool); /* of an_peaks_back_args */
int an_cuda_pool_backward(const an_op *pool);     /* pool.c: with that of the normalisation that it computes */
int an_cuda_lrn_output(an_op *lrn); /* lrn.c: makes and computes the output that no step has computed, for the host */

#endif
