/* The CPU backend: oneDNN primitives with shared scratch memory, and own loops for what the library lacks.
 *
 * A tensor lies in memory as the primitive that makes it likes best (usually channels in blocks of 16), and its
 * gradient lies in the same order. Where a primitive wants its input otherwise, a view converts. Everything that is
 * made (memory, oneDNN objects, ops) is registered with the backend and freed by its close. */
#ifndef AN_MODEL_CPU_CPU_PRIVATE_H
#define AN_MODEL_CPU_CPU_PRIVATE_H

#include <oneapi/dnnl/dnnl.h>

#include "model/backend.h"

typedef struct an_owned an_owned;
typedef struct an_scratch an_scratch;

struct an_backend {
    dnnl_engine_t engine;
    dnnl_stream_t stream;
    int batch, threads;
    bool training, direct, winograd;
    uint64_t seed;
    dnnl_data_type_t type; /* of activations and working weights: f32 or bf16 */
    an_owned *owned;
    an_scratch *scratches; /* who shares one buffer, given to them by finish */
    size_t scratch_size;
    uint64_t memory;
};

/* owner.c: lifetime. size: bytes, zeroed, page-aligned for large ones. */
int an_cpu_alloc(an_backend *cpu, void **out, size_t size);
int an_cpu_own_memory(an_backend *cpu, dnnl_memory_t memory);
int an_cpu_own_primitive(an_backend *cpu, dnnl_primitive_t primitive);
void an_cpu_free_all(an_backend *cpu);
int an_cpu_check(dnnl_status_t status, const char *subject, const char *what); /* status as an error of ours */
int an_cpu_memory(an_backend *cpu, dnnl_memory_t *out, const dnnl_memory_desc_t *desc, void *data);

/* What a forward primitive keeps for its backward one; NULL if it keeps nothing. */
int an_cpu_workspace(an_backend *cpu, const dnnl_memory_desc_t *desc, dnnl_memory_t *out);

/* primitive.c: a primitive with its arguments, run many times. */
#define AN_KERNEL_ARGS 8
typedef struct {
    dnnl_primitive_t primitive; /* NULL: nothing to do */
    dnnl_exec_arg_t args[AN_KERNEL_ARGS];
    int count;
    char implementation[48];
} an_primitive;

/* Makes the primitive and destroys desc, in every case. */
int an_primitive_make(an_primitive *kernel, an_backend *cpu, dnnl_primitive_desc_t desc, const char *subject);
void an_primitive_arg(an_primitive *kernel, int argument, dnnl_memory_t memory);
int an_primitive_run(const an_primitive *kernel, an_backend *cpu);
/* A copy between two orders; add: onto what is there. */
int an_primitive_reorder(an_primitive *kernel, an_backend *cpu, const dnnl_memory_desc_t *from_desc, dnnl_memory_t from,
                         const dnnl_memory_desc_t *to_desc, dnnl_memory_t to, bool add);
/* The same once, between two places. */
int an_cpu_copy(an_backend *cpu, const dnnl_memory_desc_t *from_desc, void *from, const dnnl_memory_desc_t *to_desc,
                void *to);
/* The primitive description for an operation description. activation is fused behind it. hint: the forward one, for
 * backward; NULL otherwise. */
int an_primitive_desc(dnnl_primitive_desc_t *out, an_backend *cpu, const void *operation, an_activation activation,
                      const_dnnl_primitive_desc_t hint, const char *subject);
int an_primitive_scratch_finish(an_backend *cpu);
/* The shared scratch memory for an own kernel: size bytes at *place, from finish on. */
int an_scratch_want(an_backend *cpu, size_t size, void **place);
dnnl_memory_desc_t an_primitive_query(const_dnnl_primitive_desc_t desc, dnnl_query_t what);

/* tensor.c */
typedef struct {
    an_backend *cpu;
    int n, c, h, w;
    bool halved; /* the two halves of the channels lie one behind the other: desc is 2n x c/2 x h x w */
    dnnl_memory_desc_t desc;
    void *data, *slope; /* values, gradient */
    dnnl_memory_t value, gradient;
    bool pinned; /* of the image: a reader holds the address, so the caller's memory cannot stand in for it */
} an_cpu_tensor;

int an_cpu_tensor_make(an_cpu_tensor *tensor, an_backend *cpu, const int shape[4], const dnnl_memory_desc_t *desc,
                       bool halved);
/* desc with another batch and number of channels in the same order; false if that order is none of the usual ones. */
bool an_cpu_tensor_reshape(const dnnl_memory_desc_t *desc, int n, int c, dnnl_memory_desc_t *out);
int an_cpu_tensor_half(const an_cpu_tensor *tensor, int half, dnnl_memory_desc_t *desc, void **data, void **slope);
/* The tensor's bytes under another shape: memory for value and gradient (unchanged if there is none). */
int an_cpu_tensor_as(an_cpu_tensor *tensor, const dnnl_memory_desc_t *desc, dnnl_memory_t *value,
                     dnnl_memory_t *gradient);
int an_cpu_tensor_get(const an_cpu_tensor *tensor, bool gradient, uint32_t count, float *out);
int an_cpu_tensor_set(an_cpu_tensor *tensor, bool gradient, uint32_t count, const float *values);
dnnl_memory_desc_t an_cpu_tensor_desc(dnnl_data_type_t type, int n, int c, int h, int w, dnnl_format_tag_t tag);
dnnl_memory_desc_t an_matrix_desc(dnnl_data_type_t type, int rows, int columns, dnnl_format_tag_t tag);

/* view.c: a tensor as an op wants it. */
typedef struct {
    an_cpu_tensor *tensor; /* read the value and leave the gradient here: the source itself or own */
    an_cpu_tensor own;
    an_primitive forward[2], backward[2];
} an_cpu_view;

typedef struct {
    const dnnl_memory_desc_t *desc;
    bool halved;
    bool gradient;   /* a gradient flows back */
    bool accumulate; /* onto what is in the source */
} an_cpu_view_spec;

int an_cpu_view_make(an_cpu_view *view, an_backend *cpu, an_cpu_tensor *source, const an_cpu_view_spec *spec);
int an_cpu_view_forward(const an_cpu_view *view, an_backend *cpu);
int an_cpu_view_backward(const an_cpu_view *view, an_backend *cpu);

/* weights.c: one parameter tensor (or one of the two parts of a layer in halves); value, momentum and gradient lie in
 * one order, so the optimiser is elementwise; padding stays zero. All of it is f32. In f32 the order is that of the
 * forward primitive, which reads the value. With bf16 primitives read a narrow copy in the forward order, refreshed by
 * update and set, and the masters lie as the backward primitive writes the gradient: narrowing reorders anyway. */
typedef struct an_expansion an_expansion; /* expand.h */

typedef struct {
    dnnl_memory_desc_t desc, master, canonical; /* as primitives read it; what lies in data, velocity, slope; plain */
    size_t floats;
    float *data, *velocity, *slope;
    an_primitive narrow;           /* data into what primitives read, if that is not data itself */
    dnnl_memory_t value, gradient; /* value: what primitives read */
    const an_expansion *expansion; /* NULL; else what is held are the weights of the expanded convolution... */
    float *existing;               /* ...with 1 where there is a weight, 0 where none must grow */
    uint64_t changes;              /* of data so far: for those who keep what they made of it */
} an_cpu_weights;

/* gradient: the order in which the backward primitive likes to write; NULL without one. */
int an_cpu_weights_make(an_cpu_weights *weights, an_backend *cpu, const dnnl_memory_desc_t *desc,
                        const dnnl_memory_desc_t *gradient, const dnnl_memory_desc_t *canonical);
size_t an_cpu_weights_count(const an_cpu_weights *weights); /* of canonical floats */
/* The weights of an expanded convolution: canonical is its plain order; get and set keep speaking of the stated one. */
int an_cpu_weights_expand(an_cpu_weights *weights, an_backend *cpu, const an_expansion *expansion);
int an_cpu_weights_get(const an_cpu_weights *weights, an_backend *cpu, an_parameter_kind kind, float *out);
int an_cpu_weights_set(an_cpu_weights *weights, an_backend *cpu, an_parameter_kind kind, const float *values);
/* Where a backward primitive wants the weights (or leaves their gradient) in another order: its own place in *memory
 * and the copy in kernel. Otherwise both stay as they are. */
int an_cpu_weights_turn(an_primitive *kernel, an_backend *cpu, const an_cpu_weights *weights,
                        const dnnl_memory_desc_t *order, bool gradient, dnnl_memory_t *memory);
int an_cpu_weights_update(an_cpu_weights *weights, an_backend *cpu, const an_sgd *sgd, bool bias);

/* ops */
typedef struct {
    int (*forward)(an_op *op, const an_run *run);
    int (*backward)(an_op *op, const an_run *run);
    int (*describe)(const an_op *op, an_buffer *out); /* may be NULL */
} an_op_methods;

#define AN_OP_JOINS_MAX 2

struct an_op { /* first member of every kind's struct */
    an_backend *cpu;
    const an_op_methods *methods;
    an_node node;
    an_cpu_tensor output;
    int parts; /* weights and biases in use: 0, 1 or 2 */
    an_cpu_weights weights[2], biases[2];
    an_primitive collects[AN_OP_JOINS_MAX]; /* the gradient from each join that takes this output */
    int join_count;
};

int an_cpu_input_create(an_op **out, an_backend *cpu, const an_op_spec *spec);
int an_cpu_conv_create(an_op **out, an_backend *cpu, const an_op_spec *spec);
/* conv_winograd.c, for an_cpu_conv_create: *out is NULL where direct convolution is better. */
int an_cpu_winograd_create(an_op **out, an_backend *cpu, const an_op_spec *spec);
int an_cpu_dense_create(an_op **out, an_backend *cpu, const an_op_spec *spec);
int an_cpu_lrn_create(an_op **out, an_backend *cpu, const an_op_spec *spec);
int an_cpu_pool_create(an_op **out, an_backend *cpu, const an_op_spec *spec);
int an_cpu_dropout_create(an_op **out, an_backend *cpu, const an_op_spec *spec);
int an_cpu_loss_create(an_op **out, an_backend *cpu, const an_op_spec *spec);
int an_cpu_join_create(an_op **out, an_backend *cpu, const an_op_spec *spec);
int an_cpu_feed(an_op *op, const an_images *images, uint32_t count);
int an_cpu_labels(an_op *op, const uint32_t *labels, uint32_t count);
int an_cpu_result(an_op *op, an_exec_result *out);
int an_cpu_collect(an_op *op);

/* An op struct of size bytes, registered and with its common part filled. */
int an_cpu_op_new(void *out, an_backend *cpu, const an_op_spec *spec, const an_op_methods *methods, size_t size);
/* activation.c: the gradient of the output turned in place into that of what went into the activation. */
int an_cpu_activation_backward(an_primitive *kernel, an_op *op);
/* The output of the op that spec names as its input number i, to be read with the given view. */
an_cpu_tensor *an_cpu_input(const an_op_spec *spec, int i);

#endif
