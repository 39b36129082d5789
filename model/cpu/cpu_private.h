/* The CPU backend: oneDNN primitives with shared scratch memory, and our own loops for what the library lacks.
 *
 * A tensor is stored in the order that the primitive which writes it prefers (usually channels in blocks of 16); its
 * gradient has the same order. Where a primitive needs its input in another order, a view converts it.
 *
 * The backend owns everything that is made: memory, oneDNN objects and ops are registered with it and freed by its
 * close, also after a failure halfway. One thread uses a backend; OpenMP's threads divide the work of each call. */
#ifndef AN_MODEL_CPU_CPU_PRIVATE_H
#define AN_MODEL_CPU_CPU_PRIVATE_H

#include "model/backend.h"
#include "model/cpu/onednn.h"

typedef struct an_owned an_owned;
typedef struct an_scratch an_scratch;

struct an_backend {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    int batch, threads;
    bool training, averages, gathers, direct, winograd;
    const an_reducer *reducer; /* gives memory for gradients, valid until finish; NULL: there are no replicas */
    uint64_t seed;
    uint32_t top; /* of results */
    double label_smoothing;
    const double *class_weights; /* the caller's, valid until finish; NULL: all 1 */
    dnnl_data_type_t type;       /* of activations and working weights: f32 or bf16 */
    an_owned *owned;
    an_scratch *scratches; /* users of the shared scratch buffer, which finish allocates */
    size_t scratch_size;
    uint64_t memory;
    an_op *learning[AN_GRAPH_NODES_MAX]; /* ops that learn, for the norm of their gradients */
    int learning_count;
    an_op *weighted[AN_GRAPH_NODES_MAX]; /* ops that have weights, also frozen ones */
    int weighted_count;
    double squares, factor; /* of the last norm */
};

/* owner.c: what the backend owns. an_cpu_alloc: zeroed bytes; large blocks are page-aligned. */
int an_cpu_alloc(an_backend *cpu, void **out, size_t size);
int an_cpu_own_memory(an_backend *cpu, dnnl_memory_t memory);
int an_cpu_own_primitive(an_backend *cpu, dnnl_primitive_t primitive);
void an_cpu_free_all(an_backend *cpu);
int an_cpu_check(dnnl_status_t status, const char *subject,
                 const char *what); /* turns oneDNN's status into an error of base/error.h */
int an_cpu_memory(an_backend *cpu, dnnl_memory_t *out, const an_desc *desc, void *data);

/* The workspace in which a forward primitive keeps values for its backward primitive; NULL if it needs none. */
int an_cpu_workspace(an_backend *cpu, const an_desc *desc, dnnl_memory_t *out);

/* primitive.c: a oneDNN primitive with its arguments, to be run many times. */
#define AN_KERNEL_ARGS 8
typedef struct {
    dnnl_primitive_t primitive; /* NULL: nothing to do */
    dnnl_exec_arg_t args[AN_KERNEL_ARGS];
    int count;
    char implementation[48];
} an_primitive;

/* Makes the primitive. Destroys desc in every case. */
int an_primitive_make(an_primitive *kernel, an_backend *cpu, dnnl_primitive_desc_t desc, const char *subject);
void an_primitive_arg(an_primitive *kernel, int argument, dnnl_memory_t memory);
int an_primitive_run(const an_primitive *kernel, an_backend *cpu);
/* A primitive that copies from one order to another; add: adds to what is there. */
int an_primitive_reorder(an_primitive *kernel, an_backend *cpu, const an_desc *from_desc, dnnl_memory_t from,
                         const an_desc *to_desc, dnnl_memory_t to, bool add);
/* Copies once, from one place and order to another. */
int an_cpu_copy(an_backend *cpu, const an_desc *from_desc, void *from, const an_desc *to_desc, void *to);
/* Which pass of an operation, with which activation fused behind it. hint: the forward description if this is a
 * backward pass, otherwise NULL. subject: the layer's name, for messages. */
typedef struct {
    dnnl_prop_kind_t pass;
    an_activation activation;
    const_dnnl_primitive_desc_t hint;
    const char *subject;
} an_primitive_pass;

/* Describe a primitive; the caller destroys the description. */
int an_primitive_conv(dnnl_primitive_desc_t *out, an_backend *cpu, const an_primitive_pass *pass,
                      const an_onednn_conv *conv);
int an_primitive_dense(dnnl_primitive_desc_t *out, an_backend *cpu, const an_primitive_pass *pass,
                       const an_onednn_dense *dense);
int an_primitive_pool(dnnl_primitive_desc_t *out, an_backend *cpu, const an_primitive_pass *pass,
                      const an_onednn_pool *pool);
int an_primitive_lrn(dnnl_primitive_desc_t *out, an_backend *cpu, const an_primitive_pass *pass,
                     const an_onednn_lrn *lrn);
int an_primitive_eltwise(dnnl_primitive_desc_t *out, an_backend *cpu, const an_primitive_pass *pass,
                         dnnl_alg_kind_t algorithm, const an_desc *order);
int an_primitive_scratch_finish(an_backend *cpu);
/* Asks for scratch memory for a kernel of our own: finish sets *place to at least size bytes, which all ops share. */
int an_scratch_want(an_backend *cpu, size_t size, void **place);

/* tensor.c */
typedef struct {
    an_backend *cpu;
    int n, c, h, w;
    an_desc desc;
    void *data, *slope; /* values, gradient */
    dnnl_memory_t value, gradient;
    bool pinned; /* an op holds the address of data. Images are then copied there instead of being read in place */
} an_cpu_tensor;

int an_cpu_tensor_make(an_cpu_tensor *tensor, an_backend *cpu, const int shape[4], const an_desc *desc);
/* desc with another batch size and number of channels, in the same order; false if the order is not a usual one. */
bool an_cpu_tensor_reshape(const an_desc *desc, int n, int c, an_desc *out);
/* The channels in a block of desc's order; 0 if they are not in blocks, or in unusual ones. */
int an_cpu_tensor_block(const an_desc *desc);
/* Memory objects that show the tensor's bytes with another shape; *gradient is unchanged if the tensor has none. */
int an_cpu_tensor_as(an_cpu_tensor *tensor, const an_desc *desc, dnnl_memory_t *value, dnnl_memory_t *gradient);
int an_cpu_tensor_get(const an_cpu_tensor *tensor, bool gradient, uint32_t count, float *out);
int an_cpu_tensor_set(an_cpu_tensor *tensor, bool gradient, uint32_t count, const float *values);
an_desc an_cpu_tensor_desc(dnnl_data_type_t type, int n, int c, int h, int w, dnnl_format_tag_t tag);
an_desc an_matrix_desc(dnnl_data_type_t type, int rows, int columns, dnnl_format_tag_t tag);

/* view.c: an input of an op, in the order that the op needs. */
typedef struct {
    an_cpu_tensor *tensor; /* where the op reads the value and writes the gradient: the source itself, or own */
    an_cpu_tensor own;
    an_primitive forward, backward;
} an_cpu_view;

typedef struct {
    const an_desc *desc;
    bool gradient;   /* the op computes the gradient of this input */
    bool accumulate; /* and adds it to the source's */
} an_cpu_view_spec;

int an_cpu_view_make(an_cpu_view *view, an_backend *cpu, an_cpu_tensor *source, const an_cpu_view_spec *spec);
int an_cpu_view_forward(const an_cpu_view *view, an_backend *cpu);
int an_cpu_view_backward(const an_cpu_view *view, an_backend *cpu);

/* weights.c: one parameter tensor, or that of one of the two groups of a layer. Value, momentum and
 * gradient are f32 and stored in one order, the master order, so the optimiser works element by element; padding stays
 * zero. In f32 the master order is that of the forward primitive, which reads the value itself. In bf16 the primitives
 * read a narrow copy in the forward order, which update and set refresh. The master order is then that in which the
 * backward primitive writes the gradient, because the narrow copy is reordered in any case. */
typedef struct an_expansion an_expansion; /* expand_private.h */

typedef struct {
    an_desc desc, master, canonical; /* as primitives read it; of data, velocity and slope; of get and set */
    size_t floats;
    float *data, *velocity, *slope;
    float *average;                /* NULL: not kept */
    float *sum;                    /* of the slopes of several runs, which is then the gradient; NULL: slope is */
    an_primitive narrow;           /* makes the copy in bf16 from data */
    dnnl_memory_t value, gradient; /* value: what primitives read, data or its copy */
    const an_expansion *expansion; /* not NULL: these are the weights of an expanded convolution */
    float *existing;               /* expanded only: 1 for a weight of the stated convolution, 0 for padding */
    uint64_t changes;              /* how often data has changed, for ops that keep something computed from it */
} an_cpu_weights;

/* gradient: the order in which the backward primitive writes; NULL if there is no backward primitive. */
int an_cpu_weights_make(an_cpu_weights *weights, an_backend *cpu, const an_desc *desc, const an_desc *gradient,
                        const an_desc *canonical);
size_t an_cpu_weights_count(const an_cpu_weights *weights); /* floats that get and set copy */
/* Makes these the weights of an expanded convolution, whose plain order is canonical. get and set still take the
 * weights of the convolution that the network states. */
int an_cpu_weights_expand(an_cpu_weights *weights, an_backend *cpu, const an_expansion *expansion);
int an_cpu_weights_get(const an_cpu_weights *weights, an_backend *cpu, an_parameter_kind kind, float *out);
int an_cpu_weights_set(an_cpu_weights *weights, an_backend *cpu, an_parameter_kind kind, const float *values);
/* For a backward primitive that reads the weights, or writes their gradient, in another order: sets *memory to memory
 * of its own in that order, and kernel to the copy from the weights, or to the gradient. If the order is the same,
 * changes nothing. */
int an_cpu_weights_turn(an_primitive *kernel, an_backend *cpu, const an_cpu_weights *weights, const an_desc *order,
                        bool gradient, dnnl_memory_t *memory);
typedef struct {
    const an_sgd *sgd;
    double scale, factor; /* of the rate; of the gradient */
    bool bias;
} an_cpu_update;
int an_cpu_weights_update(an_cpu_weights *weights, an_backend *cpu, const an_cpu_update *update);
float *an_cpu_weights_gradient(const an_cpu_weights *weights); /* what update takes, floats values */
void an_cpu_weights_gather(const an_cpu_weights *weights, bool begin);
double an_cpu_weights_squares(an_cpu_weights *weights); /* the sum of the squares of the gradient */
double an_cpu_weights_value_squares(const an_cpu_weights *weights);
int an_cpu_weights_exchange(an_cpu_weights *weights, an_backend *cpu);

/* ops */
typedef struct {
    int (*forward)(an_op *op, const an_run *run);
    int (*backward)(an_op *op, const an_run *run);
    int (*describe)(const an_op *op, an_buffer *out); /* may be NULL */
} an_op_methods;

#define AN_OP_JOINS_MAX 2

struct an_op { /* the first member of the struct of each kind of op */
    an_backend *cpu;
    const an_op_methods *methods;
    an_node node;
    an_cpu_tensor output;
    double rate_scale;        /* of the parameters; 0: they are frozen */
    an_trust_squares squares; /* of the weights of all parts: the gradient's by the last norm, the weights' by trust */
    double trust;             /* what the rate of the weights is multiplied with if an_sgd.trust is above 0 */
    int parts;                /* how many weights and biases are used: 0, 1 or 2 */
    an_cpu_weights weights[2], biases[2];
    an_primitive
        collects[AN_OP_JOINS_MAX]; /* copy this op's share of the gradient of each join that reads its output */
    int join_count;
};

int an_cpu_input_create(an_op **out, an_backend *cpu, const an_op_spec *spec);
int an_cpu_conv_create(an_op **out, an_backend *cpu, const an_op_spec *spec);
/* conv_winograd.c, for an_cpu_conv_create: *out is NULL if our Winograd kernels are not possible or not faster. */
int an_cpu_winograd_create(an_op **out, an_backend *cpu, const an_op_spec *spec);
int an_cpu_dense_create(an_op **out, an_backend *cpu, const an_op_spec *spec);
int an_cpu_lrn_create(an_op **out, an_backend *cpu, const an_op_spec *spec);
int an_cpu_pool_create(an_op **out, an_backend *cpu, const an_op_spec *spec);
int an_cpu_activation_create(an_op **out, an_backend *cpu, const an_op_spec *spec);
int an_cpu_dropout_create(an_op **out, an_backend *cpu, const an_op_spec *spec);
int an_cpu_loss_create(an_op **out, an_backend *cpu, const an_op_spec *spec);
int an_cpu_join_create(an_op **out, an_backend *cpu, const an_op_spec *spec);
int an_cpu_feed(an_op *op, const an_images *images, uint32_t count);
int an_cpu_labels(an_op *op, const an_targets *targets, uint32_t count);
int an_cpu_result(an_op *op, an_exec_result *out);
int an_cpu_collect(an_op *op);
/* trust.c */
int an_cpu_trust(an_backend *cpu, const an_sgd *sgd, double factor);
int an_cpu_trust_squares(an_backend *cpu, an_trust_squares *layers);
int an_cpu_trust_set(an_backend *cpu, const double *layers);
/* replicas.c */
/* Memory for the gradient that update takes: the reducer's, or if that gives none the backend's. */
int an_cpu_gradient_alloc(an_backend *cpu, void **out, size_t size);
int an_cpu_gradients(an_op *op, an_gradient out[AN_OP_GRADIENTS], int *count, uint64_t *layout);
int an_cpu_checksum(an_backend *cpu, uint64_t *out);

/* Makes an op struct of size bytes, owned by the backend, and fills its an_op. */
int an_cpu_op_new(void *out, an_backend *cpu, const an_op_spec *spec, const an_op_methods *methods, size_t size);
/* activation.c: a primitive that turns the gradient of op's output, in place, into that of the activation's input. */
int an_cpu_activation_backward(an_primitive *kernel, an_op *op);
/* The output tensor of input number i. */
an_cpu_tensor *an_cpu_input(const an_op_spec *spec, int i);

#endif
