/* The seam between the execution of a graph (exec) and a kind of device. A backend is a table of function pointers and
 * a context per physical device.
 *
 * An op is one node prepared for one shape: its kernels, parameters, output tensor and workspaces are made by
 * op_create, belong to the backend and live until it is closed. The layout and type of a tensor are the backend's
 * secret: ops of one backend agree among themselves, and values in canonical order (N x C x H x W, float) appear only
 * in the *_get and *_set functions.
 *
 * Order: ops are created in graph order, then finish is called once (shared workspaces). A run is forward over the ops
 * in order, then backward in reverse order. Calls return when the work is queued; synchronize waits for it. Gradients:
 * the backward of an op leaves the gradient of its inputs in them, added to what is there if spec.accumulate says so.
 * An op with joins among its consumers gets collect before its backward: it sums the joins' gradients over its
 * channels, so a join itself has no backward, and a crossing between devices is pulled by the device that needs it,
 * both ways. Each run starts with begin and feed on every device. */
#ifndef AN_MODEL_BACKEND_H
#define AN_MODEL_BACKEND_H

#include "base/format.h"
#include "model/exec.h"

typedef struct an_backend an_backend; /* one physical device */
typedef struct an_op an_op;
typedef struct an_recording an_recording; /* calls of ops, to be repeated at a word */

typedef struct {
    const char *device; /* as the user named it: "cpu" */
    int batch;
    int threads; /* CPU: at least 1 */
    bool training;
    uint64_t seed;          /* of dropout */
    an_precision precision; /* AN_EUNSUPPORTED from open where the device lacks it */
    an_choices *choices;    /* as in an_exec_options */
    bool direct;
    const an_conversion *conversion; /* of devices that take bytes; there until finish */
    bool winograd; /* tests: transformed convolutions wherever they exist, not only where they are expected to be faster
                    */
} an_backend_options;

typedef struct {
    const an_node *node; /* of the graph that exec runs; copied */
    an_op *inputs[AN_GRAPH_INPUTS_MAX];
    bool input_gradient; /* backward must give one: false for what sees only the image */
    bool accumulate;     /* another consumer has written the input's gradient before */
} an_op_spec;

typedef struct {
    uint64_t step;
    uint32_t count; /* samples; rows beyond hold anything finite and have no part in loss and gradient */
    bool training;  /* dropout acts */
} an_run;

#define AN_OP_MARKS 6 /* numbered from 0 */

typedef struct an_backend_api {
    const char *name; /* "cpu" */
    bool processors;  /* devices are made of the host's processors: exec divides them and gives each device a thread of
                         its  own. Otherwise one thread calls all devices' ops in graph order, and ops that meet outputs
                         of  another device (joins, collect) order themselves behind it */
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
    uint64_t (*memory)(const an_backend *backend);                /* bytes of tensors and workspaces */

    /* Zeroed memory for image batches from which the device can copy while the host goes on. Both optional; free is for
     * any time, even after close. */
    int (*host_alloc)(an_backend *backend, void **out, size_t size);
    void (*host_free)(void *memory, size_t size);

    int (*op_create)(an_op **out, an_backend *backend, const an_op_spec *spec); /* only of what is supported */
    int (*begin)(an_backend *backend, const an_run *run); /* optional: a run starts on this device */
    int (*forward)(an_op *op, const an_run *run);
    int (*backward)(an_op *op, const an_run *run);
    int (*collect)(an_op *op);
    int (*update)(an_op *op, const an_sgd *sgd);
    int (*update_all)(an_backend *backend, const an_sgd *sgd); /* optional: of all ops of a device, instead */
    int (*op_describe)(const an_op *op, an_buffer *out);       /* chosen kernels, without a newline */

    /* Optional, both or none: an op's times on its device's own clock. mark puts one of its marks behind what is queued
     * on the device so far; between is for marks that a synchronize has waited for. */
    int (*mark)(an_op *op, int mark);
    int (*between)(an_op *op, int from, int to, double *seconds);

    /* All optional, for calls that only queue work: forward, collect and backward of all devices' ops between begin and
     * end are not done but kept. replay does them, behind all that was queued on any of the devices and ahead of all
     * that will be; only the run's step may be another one. End follows every begin that succeeded, and keeps nothing
     * if out is NULL; after a failure of either the calls can still be made plainly. The first device owns recordings.
     */
    int (*record_begin)(an_backend *const *devices, int count);
    int (*record_end)(an_backend *const *devices, int count, an_recording **out);
    int (*replay)(an_recording *recording);

    /* Images for an input op: borrowed until result has returned the run's loss, or synchronize. */
    int (*feed)(an_op *op, const an_images *images, uint32_t count);
    /* Optional: images that the next feed will bring, so that they travel while the device computes. They must stay as
     * they are until then; another feed in their place is fine. */
    int (*prefetch)(an_op *op, const an_images *images, uint32_t count);
    /* For a loss op; labels may be NULL (probabilities only). Copied. */
    int (*labels)(an_op *op, const uint32_t *labels, uint32_t count);
    int (*result)(an_op *op, an_exec_result *out); /* of a loss op's last forward with labels, waiting for it alone */

    /* Canonical floats: the first count samples of an op's output (for a loss op the probabilities) or of its gradient.
     */
    int (*output_get)(an_op *op, bool gradient, uint32_t count, float *out);
    int (*output_set)(an_op *op, bool gradient, uint32_t count, const float *values);
    int (*parameter_get)(an_op *op, bool bias, an_parameter_kind kind, float *out);
    int (*parameter_set)(an_op *op, bool bias, an_parameter_kind kind, const float *values);
} an_backend_api;

/* The table of backends in this build. */
int an_backend_count(void);
const an_backend_api *an_backend_at(int number);

/* The backend that runs a device name ("cpu"; what follows a colon is the backend's); AN_EINVAL naming it and what
 * there is. */
int an_backend_find(const char *device, const an_backend_api **out);
/* A line for each device of this machine that a placement can name, or why a kind has none. */
int an_backend_devices(an_buffer *out);

extern const an_backend_api an_backend_cpu;
extern const an_backend_api an_backend_cuda; /* in builds with CUDA */

#endif
