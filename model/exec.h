/* Runs a graph on physical devices: training steps, updates, evaluation. an_exec_create makes all memory, plans and
 * workspaces. A step allocates nothing, with one exception: the step that records what later steps replay
 * (an_exec_replay_set).
 *
 * One thread calls the functions of an exec; exec/lanes.c tells which threads exec itself has. Errors are AN_EINVAL for
 * impossible options and arguments, AN_EUNSUPPORTED for what a device cannot do, AN_ECORRUPT for values that are not
 * finite, or the device's own; their messages name the layer. */
#ifndef AN_MODEL_EXEC_H
#define AN_MODEL_EXEC_H

#include <stdbool.h>
#include <stdint.h>

#include "base/format.h"
#include "model/choices.h"
#include "model/graph/graph.h"
#include "model/reducer.h"

typedef enum {
    AN_PRECISION_F32,
    AN_PRECISION_BF16, /* activations, their gradients and working weights in bf16; sums, master weights, momentum,
                          weight gradients, logits and loss in f32 */
    AN_PRECISION_TF32  /* f32 with products of 10-bit mantissas: GPUs only */
} an_precision;

/* How devices convert images that they receive as bytes: ((byte - mean) + shift) * (scale * factor) in fp32, in this
 * order, so that the values equal those that the loader makes for other devices. shift and factor are drawn for each
 * image (an_image_draw).
 */
typedef struct {
    const float *mean; /* side x side x 3, RGB; the part under the image's crop is subtracted; NULL: nothing is */
    int side;          /* 1: one colour for all pixels */
    double scale;      /* above 0 */
} an_conversion;

/* What turns a batch that arrives encoded into the bytes that devices convert, on the device itself. A device keeps two
 * batches in places that take turns, its slots. */
#define AN_IMAGE_SLOTS 2

typedef struct {
    int device;        /* number in the list of devices, from 0. A device that is named twice has two numbers */
    int slot;          /* below AN_IMAGE_SLOTS */
    const void *block; /* the encoded batch, on the device */
    size_t size;       /* of the block, bytes */
    uint32_t count;    /* samples */
    void *pixels;      /* on the device: place for the samples, in the input format */
    void *stream;      /* of the device, all decodings of which are queued on this one */
} an_image_decoding;

/* queue queues the work on the stream and does not wait. result is asked for each decoding, once, when its work is done
 * and before the next one is queued for its slot: AN_OK, or the code of what was wrong with its first damaged sample,
 * with a message that does not name the sample; *sample is then its position in the batch. Both are called by the
 * thread that calls exec. */
typedef struct {
    void *context;
    size_t size; /* bytes of an encoded batch at most */
    int (*queue)(void *context, const an_image_decoding *decoding);
    int (*result)(void *context, int device, int slot, uint32_t *sample);
} an_image_decoder;

enum { AN_EXEC_TOP = 5 };

typedef struct {
    const char *devices; /* "cpu"; "cpu,cpu": the halves of split layers each on a share of the processors */
    int batch;           /* most samples of a step */
    int threads;         /* compute threads of all CPU devices together, at least one each; 0: all processors */
    bool training;       /* false: no gradients, less memory */
    uint64_t seed;       /* of dropout */
    an_precision precision;
    bool direct; /* compute convolutions directly, without Winograd's transform, and normalisation with exact roots:
                    slower, but rounded more as other programs round */
    an_choices *choices; /* names the kernels to take where there are several. Kernels that it does not name are chosen
                            by measuring, which takes a while, and added. Must outlive the exec. NULL: the first kernels
                            that the libraries advise and that compute rightly */
    an_buffer *notes;   /* an_exec_create appends warnings for the user, a line each, without a zero at the end: kernels
                           that a library offers and that compute wrongly, choices that can no longer be kept. NULL: they
                           are not wanted */
    an_buffer *remarks; /* the same for what is no reason to worry: kernels that are passed over because they sum less
                           exactly than was asked for. NULL: they are not wanted */
    const an_conversion *conversion; /* NULL: bytes are not changed. Used during an_exec_create only */
    const an_image_decoder *decoder; /* for batches that arrive encoded; AN_EINVAL where devices take finished values.
                                        Copied; its context must outlive the exec. NULL: no batch is encoded */
    uint32_t top;                    /* results count labels with a rank below it; 0: AN_EXEC_TOP */
    double label_smoothing;          /* 0 to 1: in a training step, each label gives this share to all classes alike */
    const double *class_weights;     /* of the losses of a training step: one for each class of the graph, at least 0;
                                        copied. NULL: all 1. Sums are then divided by the sum of the weights of the batch's
                                        labels: model/targets.h has the formula */
    bool columns; /* for comparisons: do not merge the halves of split layers although one device runs both */
    /* For training. rate_scales: by the ordinal of a layer (an_parameter.layer), what the learning rate of its weights
     * and biases is multiplied with, 0 or more. Layers of 0 are frozen: their parameters never change, no gradient is
     * computed for them, and backward ends at the first layer that learns. NULL: all 1. Used during an_exec_create
     * only. */
    const double *rate_scales;
    bool averages; /* keep an average of each parameter: an_sgd.average */
    /* Steps and evaluations run a batch in so many equal parts of an even number of samples, one after the other, and a
     * step adds up their gradients. So devices need the memory of a part, and the result is that of the whole batch but
     * for rounding. 0 or 1: as a whole. Not with a decoder. */
    int parts;
    const an_reducer *reducer; /* the gradients of a step are added up over replicas before they are updated; copied,
                                  its context must outlive the exec. NULL: there are no replicas */
} an_exec_options;

typedef struct an_exec an_exec;

/* Copies the graph. */
int an_exec_create(an_exec **out, const an_graph *graph, const an_exec_options *options);
void an_exec_free(an_exec *exec);

/* an_exec_options.top, or the number that 0 stands for. */
uint32_t an_exec_top(const an_exec *exec);

/* Whether the network runs on the host's processors, which it then shares with the rest of the process. */
bool an_exec_on_processors(const an_exec *exec);

/* The format in which step and evaluate take images: final values, or bytes that the device converts. */
an_format an_exec_input_format(const an_exec *exec);

/* A batch: pixels, or a block for the decoder. */
typedef struct {
    const void *pixels; /* samples in the input format */
    const an_image_draw
        *draws;        /* for bytes: one per image, or NULL for no crop, flip, shift and factor. Otherwise unused */
    const void *block; /* NULL: the batch is pixels. Otherwise it is encoded: a block of memory that begins with
                          the draws of its images, aligned for them; pixels and draws are unused */
    size_t block_size; /* bytes */
} an_images;

/* The rank of a label is the number of classes with a higher probability, or with the same probability and a lower
 * class number: its place in the list of predictions. Probabilities are compared as the floats that an_exec_evaluate
 * gives. */
typedef struct {
    double loss;         /* mean cross entropy of the count samples; of a training step with class weights, smoothing
                            and mixed labels */
    uint32_t top1, topk; /* samples whose label has a rank below 1, below an_exec_options.top; of mixed ones the own
                            label */
} an_exec_result;

/* Forward and backward; leaves the gradients of the mean loss for an_exec_update. Returns as soon as the loss is known:
 * devices that queue their work may then still compute gradients, and after an_exec_update the update. Functions that
 * read their values wait for them. images: count samples in the input format, not needed after the call. count may be
 * smaller than batch; the mean is over count. step selects the random numbers of dropout. A loss that is not finite is
 * AN_ECORRUPT; the message names the first layer whose output is not finite. A damaged sample of an encoded batch fails
 * the step with the decoder's code and message (an_exec_damaged). */
int an_exec_step(an_exec *exec, const an_images *images, const uint32_t *labels, uint32_t count, uint64_t step,
                 an_exec_result *out);

/* For replicas: the images of the next steps are a share of a larger batch, in which the first of them has this place.
 * total: what the sums of loss and gradient are divided by, which is the sum of an_exec_weight over all shares; 0: that
 * of each share itself. Initially 0 and 0. The loss of a step is then this share's part of the whole batch's mean loss.
 * A share without images is a step of any image with a total of INFINITY: its loss and all its gradients are 0. */
void an_exec_share(an_exec *exec, uint32_t first, double total);
/* The sum over a training batch of the class weights of its labels; without class weights the number of its samples. */
int an_exec_weight(an_exec *exec, const an_images *images, const uint32_t *labels, uint32_t count, double *out);

/* A hash of all parameters' values as the devices hold them: equal where every bit of them is. Waits for the devices.
 */
int an_exec_checksum(an_exec *exec, uint64_t *out);

/* The position in its batch of the damaged sample for which the last step or evaluation failed; -1 if it did not fail,
 * or for another reason. */
int64_t an_exec_damaged(const an_exec *exec);

/* Announces the images of the step after the next one, so that they are copied to the devices while the next step runs.
 * They must not change until they have been stepped. This is a hint: a step may take other images instead. */
void an_exec_prefetch(an_exec *exec, const an_images *images, uint32_t count);

/* SGD with momentum (paper, section 5), with d = rate (g + decay w):
 *   v <- momentum v - d,  w <- w + v
 * Biases use bias_rate_scale * rate and bias_decay; the rate of a layer is multiplied with its rate_scales.
 *
 * nesterov: w <- w + momentum v - d instead, with the new v. That is Nesterov's momentum as torch.optim.SGD computes it
 * (Sutskever et al. 2013, section 3, after a change of variables): its buffer b is -v / rate while the rate stays, so
 * w - rate (g + decay w + momentum b) is this. A change of the rate acts on what comes, not on the v that there is.
 *
 * clip: if the Euclidean norm n of all gradients together is larger, they are multiplied with clip / (n + 1e-6), as
 * torch.nn.utils.clip_grad_norm_ does (Pascanu et al. 2013). Frozen layers have no gradient, and decay is added
 * afterwards. If n is not finite, neither are the weights afterwards, so that the next step reports it.
 *
 * trust: LARS (You, Gitman, Ginsburg 2017), for batches of thousands: the rate of a layer's weights is multiplied with
 *   trust |w| / (|g| + decay |w|)
 * of the Euclidean norms of all its weights and their gradient (after clip); with 1 where either norm is 0. Biases keep
 * their own rate.
 *
 * average: behind the update a <- a + (1 - average) (w - a) for the average a of each parameter. */
typedef struct {
    double rate, momentum, decay;
    double bias_rate_scale, bias_decay;
    bool nesterov;
    double clip;  /* 0: off */
    double trust; /* 0: off; You's is 0.001 */
    double
        average; /* 0 to below 1; 0: averages stay as they are. Otherwise AN_EINVAL without an_exec_options.averages */
} an_sgd;
int an_exec_update(an_exec *exec, const an_sgd *sgd);

/* The Euclidean norm of the gradients that the last step left, before an update clips them. Waits for the devices.
 * AN_EINVAL before the first step. */
int an_exec_gradient_norm(an_exec *exec, double *out);

/* Exchanges each parameter with its average, so that evaluations use the averages; with use false, exchanges them back,
 * after which all is as it was, to the bit. Between the two, an_exec_parameter_get and set see the averages as values
 * and the values as averages, and steps and updates are AN_EINVAL. Does nothing if it is so already. AN_EINVAL without
 * an_exec_options.averages. */
int an_exec_average_use(an_exec *exec, bool use);
bool an_exec_averages(const an_exec *exec); /* an_exec_options.averages, in training */

/* Devices that can record calls (GPUs) record the second training step of a whole batch and replay it afterwards, which
 * saves the host work and gives the same results. Steps of fewer samples and evaluations are always queued op by op.
 * wanted: true initially. */
void an_exec_replay_set(an_exec *exec, bool wanted);
bool an_exec_replays(const an_exec *exec); /* steps of a whole batch are replayed from now on */
/* Why a device that can record calls failed to record them, for a warning. NULL: it did not fail. */
const char *an_exec_replay_refusal(const an_exec *exec);

/* Waits until all queued work is done: for measuring time. */
int an_exec_wait(an_exec *exec);

/* Forward without dropout. probabilities: count x classes floats, row by row; may be NULL. labels and out may be NULL;
 * without labels out stays as it is. The loss is the plain cross entropy of the labels, without smoothing and class
 * weights; images are mixed if their draws say so, labels never. Waits for the result in any case, so images and labels
 * may be overwritten when it returns. A loss or, without labels, outputs that are not finite are AN_ECORRUPT as in
 * an_exec_step, and so is a damaged sample. */
int an_exec_evaluate(an_exec *exec, const an_images *images, const uint32_t *labels, uint32_t count,
                     float *probabilities, an_exec_result *out);

/* Parameters by layer, in canonical order: conv O x I/groups x K x K, dense O x I (I = C*H*W in NCHW order), bias O.
 * The halves of a split layer are joined along O. */
typedef struct {
    char name[32]; /* "conv1.weight", "conv1.bias" */
    int shape[4], rank;
    uint64_t size;                    /* floats */
    uint64_t fan_in;                  /* inputs of one output */
    double init_deviation, init_bias; /* the paper's initial values */
    bool bias;
    int layer; /* ordinal; selects the random numbers of initialisation */
} an_parameter;

/* Setting a value also sets its average, where there are averages. The gradient of a frozen layer is 0. */
typedef enum {
    AN_PARAMETER_VALUE,
    AN_PARAMETER_MOMENTUM,
    AN_PARAMETER_AVERAGE,
    AN_PARAMETER_GRADIENT
} an_parameter_kind;

int an_exec_parameter_count(const an_exec *exec);
const an_parameter *an_exec_parameter(const an_exec *exec, int number);
int an_exec_parameter_get(an_exec *exec, int number, an_parameter_kind kind, float *out);
int an_exec_parameter_set(an_exec *exec, int number, an_parameter_kind kind, const float *values);

/* The output of a layer in the last evaluate or step, or in the last part of it, N x C x H x W, halves joined. out has
 * room for count * C*H*W floats. AN_EINVAL if no layer has that name. For features and tests. */
int an_exec_activation_get(an_exec *exec, const char *layer, uint32_t count, float *out);

/* The nodes that run, in order: images, layers (both halves of one that is split over two devices), joins. Times are
 * sums since the last reset and include waiting for the other device; read and reset them between steps. For devices
 * that queue their work they are the times that the host took to queue it, without replayed steps, unless
 * an_exec_profile was called. */
typedef struct {
    char name[16];
    const char *kind;
    int device;
    double flop; /* of one image, forward */
    uint64_t parameters;
    uint64_t memory;                  /* bytes of output, gradient, parameters and what backward needs */
    uint64_t runs;                    /* forward passes */
    double forward, backward, update; /* seconds */
} an_exec_layer;
int an_exec_layer_count(const an_exec *exec);
/* From now on layers are timed by the devices' own clocks, if they have any, updates included. Each step then waits for
 * the devices, so steps no longer overlap. */
void an_exec_profile(an_exec *exec);
void an_exec_layer_get(const an_exec *exec, int number, an_exec_layer *out);
void an_exec_layers_reset(an_exec *exec);

/* Seconds since the last call, by the clock of the device that was idle for the largest part of them. All 0 if devices
 * have no clocks. */
typedef struct {
    double idle; /* the device waited for a batch: it was not queued yet, or its images had not arrived */
    double copy; /* the part of idle in which the batch was queued and its images were being copied, or decoded there */
    double total; /* idle or not */
} an_device_time;
int an_exec_device_time(an_exec *exec, an_device_time *out);
/* The time until the next batch counts for nobody: the host does something else than training. */
void an_exec_device_pause(an_exec *exec);

/* Zeroed memory for the images of step and evaluate from which devices copy fastest; any other memory works too. Free
 * it before the exec. */
int an_exec_images_alloc(an_exec *exec, void **out, size_t size);
void an_exec_images_free(an_exec *exec, void *images, size_t size);

uint64_t an_exec_memory(const an_exec *exec);              /* bytes of tensors and workspaces */
int an_exec_describe(const an_exec *exec, an_buffer *out); /* placement, chosen kernels: for logs */
/* Appends a line for each device of this machine of the kind that the network runs on; nothing for processors. */
int an_exec_accelerators(const an_exec *exec, an_buffer *out);

#endif
