/* The interface between exec, which runs a graph, and a kind of device. A backend is a table of functions
 * (an_backend_api); an an_backend is one open device.
 *
 * An op is one node prepared for one shape: its kernels, parameters, output tensor and workspaces. op_create makes it;
 * the backend owns it and frees it in close. How tensors are stored is the backend's own business: ops of one backend
 * agree about it, and only the *_get and *_set functions speak in canonical order (N x C x H x W, float).
 *
 * Order of calls: supports for each node, open, op_create for each node in graph order, finish once (it makes what ops
 * share). A run is begin and feed, then forward over the ops in order, then backward in reverse order. Calls may return
 * when the work is queued; synchronize waits for it.
 *
 * Ops whose weights are frozen, and before which no op learns, get neither backward nor collect.
 *
 * Gradients: backward of an op writes the gradient of its inputs into them, or adds it if spec.accumulate is set. An op
 * whose output is read by joins gets a collect before its backward: it sums its channels of the joins' gradients into
 * its own. So a join's backward does nothing, and values that cross between devices are always pulled by the device
 * that needs them, forward and backward.
 *
 * Threads: each device is used by one thread at a time, snapshot_wait aside. If `processors` is set, that is a thread
 * per device. Functions that fail return an error of base/error.h; whatever was made before a failure is freed by
 * close. */
#ifndef AN_MODEL_BACKEND_H
#define AN_MODEL_BACKEND_H

#include <math.h>

#include "base/format.h"
#include "model/exec.h"

typedef struct an_backend an_backend; /* one physical device */
typedef struct an_op an_op;
typedef struct an_recording an_recording; /* calls of ops that a device can repeat */

typedef struct {
    const char *device; /* as the user named it: "cpu" */
    int batch;
    int threads; /* CPU: at least 1 */
    bool training;
    uint64_t seed;              /* of dropout */
    uint32_t top;               /* results count labels with a rank below it, at least 1 */
    an_precision precision;     /* AN_EUNSUPPORTED from open where the device lacks it */
    an_choices *choices;        /* as in an_exec_options */
    an_buffer *notes, *remarks; /* as in an_exec_options; valid until finish */
    bool direct;
    double label_smoothing;          /* as in an_exec_options */
    const double *class_weights;     /* as in an_exec_options; valid until finish */
    const an_conversion *conversion; /* for devices that take bytes; valid until finish */
    const an_image_decoder *decoder; /* for batches that arrive encoded; copied. NULL: none does */
    int number;                      /* of the device in exec's list, for the decoder */
    bool averages;                   /* as in an_exec_options */
    bool gathers;                    /* gather will be called: make room for sums of gradients */
    bool reduces;                    /* gradients are added up over replicas: they must lie in fp32 */
    const an_reducer *reducer;       /* if reduces: processors take the memory of gradients from its alloc; valid
                                        until finish */
    bool winograd;                   /* for tests: use Winograd's transform wherever possible, not only where faster */
} an_backend_options;

typedef struct {
    const an_node *node; /* of the graph that exec runs; copied */
    an_op *inputs[AN_GRAPH_INPUTS_MAX];
    bool input_gradient; /* backward must compute it; false if no node before this one has weights */
    bool accumulate;     /* add to the input's gradient: another node that reads the input has written it before */
    double rate_scale;   /* of an op with weights: what their learning rate is multiplied with. 0: they are frozen, so
                            backward leaves their gradient alone and update does nothing */
} an_op_spec;

/* What the outputs of a batch are compared with. */
typedef struct {
    const uint32_t *labels;
    const uint32_t *others; /* of the image that is mixed into each one, or its own label; NULL: nothing is mixed */
    const float *shares;    /* weight of the own label; the other one's is 1 - share. NULL if others is */
    bool plain;             /* without label smoothing and class weights */
    double total;           /* by which the sums of loss and gradient are divided. Where a batch is run in parts, it is
                               that of the whole batch: the sum over its samples of the class weights of their labels,
                               each by its share; without class weights the number of samples */
} an_targets;

typedef struct {
    uint64_t step;
    uint32_t
        count; /* samples; further rows of the batch hold any finite values and do not count in loss and gradient */
    uint32_t first; /* the place of the first sample in the whole batch, of which this may be a part: dropout's random
                       numbers are those of the whole */
    bool training;  /* dropout acts */
} an_run;

#define AN_OP_MARKS 6 /* numbered from 0 */
#define AN_OP_GRADIENTS 4

#define AN_FACTOR_OWN (-1.0)

/* What gradients are multiplied with if their squares sum up to that: an_sgd.clip. Not a number if the sum is not
 * finite. */
static inline double an_clip_factor(double clip, double squares)
{
    double factor = clip / (sqrt(squares) + 1e-6);
    if (!(squares < INFINITY))
        return NAN;
    return clip > 0 && factor < 1 ? factor : 1;
}

/* Of a layer's weights, both halves of a split layer together, without its biases. */
typedef struct {
    double weights, gradient; /* sums of squares; of the gradient before it is multiplied to clip its norm */
} an_trust_squares;

/* What the rate of a layer's weights is multiplied with: an_sgd.trust. factor: of the gradient, an_clip_factor. Also 1
 * if a norm is not a number: what is not finite in the gradient then reaches the weights. */
static inline double an_trust_factor(const an_sgd *sgd, const an_trust_squares *squares, double factor)
{
    double weights = sqrt(squares->weights), gradient = factor * sqrt(squares->gradient);
    return weights > 0 && gradient > 0 ? sgd->trust * weights / (gradient + sgd->decay * weights) : 1;
}

/* The part of a snapshot that holds an op's weights, or its bias. */
typedef struct {
    an_op *op;
    bool bias;
    uint64_t count; /* values */
} an_snapshot_part;

typedef struct an_backend_api {
    const char *name; /* "cpu" */
    bool processors;  /* devices are shares of the host's processors, and exec gives each a thread of its own. Otherwise
                         one thread calls the ops of all devices in graph order, and ops that read outputs of another
                         device (joins, collect) themselves make their device wait for it */
    int (*devices)(an_buffer *out); /* optional: lines for an_backend_devices */
    /* Whether node number `node` of a lowered graph can run with these options; exec asks for every node before it
     * opens a device. AN_EUNSUPPORTED with a message that says what is not possible and what to do instead; it does not
     * name the node, the caller does. What only the device's libraries know is found by op_create. */
    int (*supports)(const an_backend_options *options, const an_graph *graph, int node);
    int (*open)(an_backend **out, const an_backend_options *options);
    void (*close)(an_backend *backend); /* with its ops; NULL is fine */
    an_format (*input_format)(const an_backend *backend);
    int (*finish)(an_backend *backend);
    int (*synchronize)(an_backend *backend);
    int (*device_time)(an_backend *backend, an_device_time *out); /* optional: since the last call */
    void (*device_pause)(an_backend *backend);     /* optional: the time until the next batch does not count */
    uint64_t (*memory)(const an_backend *backend); /* bytes of tensors and workspaces */

    /* Zeroed memory for images from which the device can copy while the host does other things. Both optional.
     * host_free may be called at any time, also after close. */
    int (*host_alloc)(an_backend *backend, void **out, size_t size);
    void (*host_free)(void *memory, size_t size);

    int (*op_create)(an_op **out, an_backend *backend, const an_op_spec *spec); /* only of what is supported */
    int (*begin)(an_backend *backend, const an_run *run); /* optional: a run starts on this device */
    int (*forward)(an_op *op, const an_run *run);
    int (*backward)(an_op *op, const an_run *run);
    int (*collect)(an_op *op);
    /* Multiplies each gradient with factor and updates; sgd->clip is not looked at. AN_FACTOR_OWN: with the factor of
     * the device's last norm, for which the host need not wait then. */
    int (*update)(an_op *op, const an_sgd *sgd, double factor);
    int (*update_all)(an_backend *backend, const an_sgd *sgd,
                      double factor); /* optional: update of all ops of the device in one call */
    /* Takes the sum of the squares of all gradients of the device, and the factor by which they are multiplied to clip
     * their norm (an_clip_factor); clip 0: 1. squares waits for the sum. */
    int (*norm)(an_backend *backend, double clip);
    int (*squares)(an_backend *backend, double *out);
    /* For updates with sgd->trust. trust follows norm and takes, for each op of the device that learns, its sums of
     * squares and from these its an_trust_factor, which the updates to come use; factor as in update. The host need not
     * wait. Where several ops are parts of one layer, it then makes them agree: trust_squares adds the sums of each op
     * to those of its layer, by the layer's ordinal, and waits for them; trust_set gives the factors of all layers in
     * place of the device's own. */
    int (*trust)(an_backend *backend, const an_sgd *sgd, double factor);
    int (*trust_squares)(an_backend *backend, an_trust_squares *layers);
    int (*trust_set)(an_backend *backend, const double *layers);
    /* Adds the gradients of the op's parameters that backward left to a sum, which is what norm, update and
     * parameter_get take as the gradient; begin: the sum begins with them. Only with options.gathers. */
    int (*gather)(an_op *op, bool begin);
    /* Exchanges the op's parameters with their averages. */
    int (*exchange)(an_op *op);
    /* Where the gradients lie that update takes, of weights and biases, after backward and gather. They stay there.
     * *layout: a hash of the order of their values in memory, the same wherever that is the same. */
    int (*gradients)(an_op *op, an_gradient out[AN_OP_GRADIENTS], int *count, uint64_t *layout);
    /* A hash of the values of all parameters of the device, as they lie in memory. Waits for it. */
    int (*checksum)(an_backend *backend, uint64_t *out);
    /* Both or none: devices that queue their work. reduce_begin gives a stream, always the same one, whose work to come
     * waits for all work queued on the device so far; reduce_end makes the device's work to come wait for the stream's.
     * Both may be recorded. */
    int (*reduce_begin)(an_backend *backend, void **stream);
    int (*reduce_end)(an_backend *backend);
    uint64_t (*op_memory)(const an_op *op); /* optional: bytes that were allocated for it until finish; else what
                                               op_create added to memory counts */
    int (*op_describe)(const an_op *op, an_buffer *out); /* appends the chosen kernels, without a newline */

    /* Optional, both or none: times on the device's own clock. mark queues one of the op's marks behind all work queued
     * so far; between gives the time between two marks that a synchronize has waited for. */
    int (*mark)(an_op *op, int mark);
    int (*between)(an_op *op, int from, int to, double *seconds);

    /* All optional. Between record_begin and record_end, forward, collect and backward of the devices' ops are recorded
     * and not done. replay does them, after all work queued on the devices before and ahead of all work queued later;
     * only the run's step may differ. record_end must follow every record_begin that succeeded; with out NULL it
     * discards the recording. If either fails, the calls can still be made without a recording. The first device owns
     * recordings. */
    int (*record_begin)(an_backend *const *devices, int count);
    int (*record_end)(an_backend *const *devices, int count, an_recording **out);
    int (*replay)(an_recording *recording);

    /* Hands images to an input op, pixels or an encoded batch. Borrowed until result has returned the run's loss, or
     * until synchronize. */
    int (*feed)(an_op *op, const an_images *images, uint32_t count);
    /* Optional: announces the images of the next feed, so that they are copied while the device computes. They must not
     * change until then; the next feed may bring others instead. */
    int (*prefetch)(an_op *op, const an_images *images, uint32_t count);
    /* Optional: devices without it take no encoded batches. What the decoder says of the input op's last feed, whose
     * work the host has waited for: AN_OK also for pixels. */
    int (*decoded)(an_op *op, uint32_t *sample);
    /* Sets the labels of a loss op's next count samples; they are copied. NULL: none; forward then computes
     * probabilities only. */
    int (*labels)(an_op *op, const an_targets *targets, uint32_t count);
    int (*result)(an_op *op, an_exec_result *out); /* of the loss op's last forward with labels; waits for that only */

    /* The first count samples of an op's output (of a loss op: the probabilities) or of its gradient, in canonical
     * order. */
    int (*output_get)(an_op *op, bool gradient, uint32_t count, float *out);
    int (*output_set)(an_op *op, bool gradient, uint32_t count, const float *values);
    int (*parameter_get)(an_op *op, bool bias, an_parameter_kind kind, float *out);
    int (*parameter_set)(an_op *op, bool bias, an_parameter_kind kind, const float *values);

    /* All or none, for devices that queue their work: copies of parameters that are taken while the device works on
     * (model/snapshot.h). Other devices copy with parameter_get. A device has one snapshot at a time. open copies the
     * list of parts and gives the place on the host where a snapshot arrives: the values of all parts, one after
     * another in canonical order, then their momenta and, if the device keeps them, their averages. close waits for a
     * copy under way and frees all of it. take queues the copy behind all work queued so far; work queued later does
     * not change what is copied. The copy before it must have been waited for. wait returns when the copy is there; any
     * one thread may call it, while the device's own thread calls other functions. */
    int (*snapshot_open)(an_backend *backend, const an_snapshot_part *parts, int count, const float **out);
    void (*snapshot_close)(an_backend *backend);
    int (*snapshot_take)(an_backend *backend);
    int (*snapshot_wait)(an_backend *backend);
} an_backend_api;

/* The table of backends. Its rows are there in every build; a backend that is a module (model/backend_module.h) is
 * loaded when it is first asked for, and until then costs nothing. AN_EUNSUPPORTED says what it lacks on this machine
 * and what to do about it. */
int an_backend_count(void);
int an_backend_at(int number, const an_backend_api **out);

/* The backend for a device's name: the part before a colon is the backend's name, the rest is for the backend.
 * AN_EINVAL names the backends in the table; AN_EUNSUPPORTED as above. */
int an_backend_find(const char *device, const an_backend_api **out);
/* Appends a line for each device of this machine, or the reason why a backend has none. */
int an_backend_devices(an_buffer *out);
/* Appends the library that computes on processors, "oneDNN 2.6.3\n", as it was found at run time. */
int an_backend_libraries(an_buffer *out);

extern const an_backend_api an_backend_cpu;
extern const an_backend_api an_backend_cuda; /* in its module, and in tests that link the backend's objects */

#endif
