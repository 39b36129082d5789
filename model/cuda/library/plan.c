/* Stating convolutions as cuDNN operation graphs, and making, binding and running their plans. */
#include "model/cuda/library/plan.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "model/cuda/library/check.h"
#include "model/cuda/library/plan_private.h"

#define ALIGNMENT 16

typedef cudnnBackendDescriptor_t descriptor;

const char *an_cuda_precision_name(an_cuda_precision precision)
{
    static const char *const names[] = {"f32", "tf32", "bf16"};
    return names[precision];
}

const char *an_plan_kind_name(an_plan_kind kind)
{
    static const char *const names[] = {"forward", "data gradient", "weight gradient"};
    return names[kind];
}

int an_plan_image_channels(int channels, an_cuda_precision precision)
{
    int wide = precision == AN_CUDA_BF16 ? 8 : 4;
    return (channels + wide - 1) / wide * wide;
}

an_plan_spec an_plan_spec_of(an_plan_kind kind, an_cuda_precision precision, const an_node *node, int n, int stored_c,
                             int h, int w)
{
    return (an_plan_spec){.kind = kind,
                          .precision = precision,
                          .n = n,
                          .c = stored_c,
                          .h = h,
                          .w = w,
                          .k = node->channels,
                          .oh = node->height,
                          .ow = node->width,
                          .kernel = node->kernel,
                          .stride = node->stride,
                          .pad = node->pad_before,
                          .groups = node->groups,
                          .activation = node->activation};
}

int an_plan_x_pitch(const an_plan_spec *spec)
{
    return spec->x_pitch ? spec->x_pitch : spec->c;
}

int an_plan_y_pitch(const an_plan_spec *spec)
{
    return spec->y_pitch ? spec->y_pitch : spec->k;
}

int an_plan_part(an_plan *plan, cudnnBackendDescriptorType_t type, descriptor *out)
{
    if (plan->made_count == AN_PLAN_DESCRIPTORS)
        return an_error(AN_EINTERNAL, "%s: more than %d cuDNN descriptors", plan->subject, AN_PLAN_DESCRIPTORS);
    int rc = an_cudnn_check(cudnnBackendCreateDescriptor(type, out), "make a cuDNN descriptor for %s", plan->subject);
    if (!rc)
        plan->made[plan->made_count++] = *out;
    return rc;
}

void an_plan_part_drop(an_plan *plan)
{
    cudnnBackendDestroyDescriptor(plan->made[--plan->made_count]);
}

void an_plan_set(an_plan_setter *s, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                 const void *values)
{
    if (!s->rc)
        s->rc = an_cudnn_check(cudnnBackendSetAttribute(s->target, name, type, count, values),
                               "set cuDNN attribute %d of %s", (int)name, s->plan->subject);
}

void an_plan_set_part(an_plan_setter *s, cudnnBackendAttributeName_t name, descriptor value)
{
    an_plan_set(s, name, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &value);
}

int an_plan_finalize(an_plan_setter *s)
{
    return s->rc
               ? s->rc
               : an_cudnn_check(cudnnBackendFinalize(s->target), "prepare a cuDNN descriptor for %s", s->plan->subject);
}

typedef struct {
    int64_t id;
    cudnnDataType_t type;
    int64_t n, c, h, w, pitch; /* channels innermost in memory; values from one pixel to the next */
    bool virtual;
} tensor_spec;

static int tensor(an_plan *plan, const tensor_spec *t, descriptor *out)
{
    int64_t dims[] = {t->n, t->c, t->h, t->w}, strides[] = {t->h * t->w * t->pitch, 1, t->w * t->pitch, t->pitch};
    int64_t alignment = ALIGNMENT;
    int rc = an_plan_part(plan, CUDNN_BACKEND_TENSOR_DESCRIPTOR, out);
    an_plan_setter s = {plan, *out, rc};
    an_plan_set(&s, CUDNN_ATTR_TENSOR_DATA_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &t->type);
    an_plan_set(&s, CUDNN_ATTR_TENSOR_DIMENSIONS, CUDNN_TYPE_INT64, 4, dims);
    an_plan_set(&s, CUDNN_ATTR_TENSOR_STRIDES, CUDNN_TYPE_INT64, 4, strides);
    an_plan_set(&s, CUDNN_ATTR_TENSOR_UNIQUE_ID, CUDNN_TYPE_INT64, 1, &t->id);
    an_plan_set(&s, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT, CUDNN_TYPE_INT64, 1, &alignment);
    an_plan_set(&s, CUDNN_ATTR_TENSOR_IS_VIRTUAL, CUDNN_TYPE_BOOLEAN, 1, &t->virtual);
    return an_plan_finalize(&s);
}

static int convolution(an_plan *plan, const an_plan_spec *spec, descriptor *out)
{
    int64_t spatial = 2, dilations[] = {1, 1}, strides[] = {spec->stride, spec->stride};
    int64_t padding[] = {spec->pad, spec->pad};
    cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    cudnnConvolutionMode_t mode = CUDNN_CROSS_CORRELATION;
    int rc = an_plan_part(plan, CUDNN_BACKEND_CONVOLUTION_DESCRIPTOR, out);
    an_plan_setter s = {plan, *out, rc};
    an_plan_set(&s, CUDNN_ATTR_CONVOLUTION_COMP_TYPE, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    an_plan_set(&s, CUDNN_ATTR_CONVOLUTION_CONV_MODE, CUDNN_TYPE_CONVOLUTION_MODE, 1, &mode);
    an_plan_set(&s, CUDNN_ATTR_CONVOLUTION_SPATIAL_DIMS, CUDNN_TYPE_INT64, 1, &spatial);
    an_plan_set(&s, CUDNN_ATTR_CONVOLUTION_DILATIONS, CUDNN_TYPE_INT64, 2, dilations);
    an_plan_set(&s, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES, CUDNN_TYPE_INT64, 2, strides);
    an_plan_set(&s, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS, CUDNN_TYPE_INT64, 2, padding);
    an_plan_set(&s, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS, CUDNN_TYPE_INT64, 2, padding);
    return an_plan_finalize(&s);
}

/* The names of the attributes of the three convolution operations; only the names differ. */
typedef struct {
    cudnnBackendDescriptorType_t type;
    cudnnBackendAttributeName_t convolution, x, w, y, alpha, beta;
} conv_names;

static const conv_names names_forward = {CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR,
                                         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC,
                                         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X,
                                         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
                                         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y,
                                         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_ALPHA,
                                         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_BETA};
static const conv_names names_data = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_ALPHA,
                                      CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_BETA};
static const conv_names names_weights = {CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR,
                                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC,
                                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X,
                                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
                                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY,
                                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_ALPHA,
                                         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_BETA};

static int conv_operation(an_plan *plan, const an_plan_spec *spec, descriptor y, descriptor *out)
{
    const conv_names *names = spec->kind == AN_PLAN_DATA      ? &names_data
                              : spec->kind == AN_PLAN_WEIGHTS ? &names_weights
                                                              : &names_forward;
    cudnnDataType_t type = spec->precision == AN_CUDA_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    int inputs = spec->c / spec->groups;
    tensor_spec x = {AN_PLAN_X, type, spec->n, spec->c, spec->h, spec->w, an_plan_x_pitch(spec), false};
    tensor_spec w = {AN_PLAN_W, type, spec->k, inputs, spec->kernel, spec->kernel, inputs, false};
    descriptor conv, from, weights;
    float alpha = 1, beta = 0;
    int rc = convolution(plan, spec, &conv);
    if (rc)
        return rc;
    rc = tensor(plan, &x, &from);
    if (rc)
        return rc;
    rc = tensor(plan, &w, &weights);
    if (rc)
        return rc;
    rc = an_plan_part(plan, names->type, out);
    if (rc)
        return rc;
    an_plan_setter s = {plan, *out, AN_OK};
    an_plan_set_part(&s, names->convolution, conv);
    an_plan_set_part(&s, names->x, from);
    an_plan_set_part(&s, names->w, weights);
    an_plan_set_part(&s, names->y, y);
    an_plan_set(&s, names->alpha, CUDNN_TYPE_FLOAT, 1, &alpha);
    an_plan_set(&s, names->beta, CUDNN_TYPE_FLOAT, 1, &beta);
    return an_plan_finalize(&s);
}

/* y = mode(x, b), computed in fp32. b is NULL for an activation, which has one operand. */
static int pointwise(an_plan *plan, cudnnPointwiseMode_t mode, descriptor x, descriptor b, descriptor y,
                     descriptor *out)
{
    cudnnDataType_t compute = CUDNN_DATA_FLOAT;
    descriptor kind;
    int rc = an_plan_part(plan, CUDNN_BACKEND_POINTWISE_DESCRIPTOR, &kind);
    an_plan_setter k = {plan, kind, rc};
    an_plan_set(&k, CUDNN_ATTR_POINTWISE_MODE, CUDNN_TYPE_POINTWISE_MODE, 1, &mode);
    an_plan_set(&k, CUDNN_ATTR_POINTWISE_MATH_PREC, CUDNN_TYPE_DATA_TYPE, 1, &compute);
    rc = an_plan_finalize(&k);
    if (rc)
        return rc;
    rc = an_plan_part(plan, CUDNN_BACKEND_OPERATION_POINTWISE_DESCRIPTOR, out);
    if (rc)
        return rc;
    an_plan_setter s = {plan, *out, AN_OK};
    an_plan_set_part(&s, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, kind);
    an_plan_set_part(&s, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, x);
    if (b)
        an_plan_set_part(&s, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, b);
    an_plan_set_part(&s, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, y);
    return an_plan_finalize(&s);
}

/* Makes the operations of the graph, count of them. */
static int operations(an_plan *plan, const an_plan_spec *spec, descriptor ops[3], int64_t *count)
{
    static const cudnnPointwiseMode_t modes[] = {[AN_ACTIVATION_RELU] = CUDNN_POINTWISE_RELU_FWD,
                                                 [AN_ACTIVATION_TANH] = CUDNN_POINTWISE_TANH_FWD,
                                                 [AN_ACTIVATION_SIGMOID] = CUDNN_POINTWISE_SIGMOID_FWD};
    cudnnDataType_t type = spec->precision == AN_CUDA_BF16 ? CUDNN_DATA_BFLOAT16 : CUDNN_DATA_FLOAT;
    tensor_spec y = {AN_PLAN_Y, type, spec->n, spec->k, spec->oh, spec->ow, an_plan_y_pitch(spec), false};
    tensor_spec product = y, sum = y, b = {AN_PLAN_B, type, 1, spec->k, 1, 1, spec->k, false};
    descriptor out, products, sums, bias;
    bool activated = spec->activation != AN_ACTIVATION_NONE;
    *count = 1;
    int rc = tensor(plan, &y, &out);
    if (rc)
        return rc;
    if (spec->kind != AN_PLAN_FORWARD)
        return conv_operation(plan, spec, out, &ops[0]);
    product.id = 'p';
    sum.id = 's';
    product.type = sum.type = CUDNN_DATA_FLOAT;
    product.virtual = sum.virtual = true;
    rc = tensor(plan, &product, &products);
    if (rc)
        return rc;
    rc = tensor(plan, &b, &bias);
    if (rc)
        return rc;
    rc = activated ? tensor(plan, &sum, &sums) : AN_OK;
    if (rc)
        return rc;
    rc = conv_operation(plan, spec, products, &ops[0]);
    if (rc)
        return rc;
    rc = pointwise(plan, CUDNN_POINTWISE_ADD, products, bias, activated ? sums : out, &ops[1]);
    if (rc)
        return rc;
    *count = activated ? 3 : 2;
    return activated ? pointwise(plan, modes[spec->activation], sums, NULL, out, &ops[2]) : AN_OK;
}

void an_plan_subject(const an_plan_spec *spec, char *text, size_t size)
{
    char view[64] = "";
    if (spec->x_pitch || spec->y_pitch)
        snprintf(view, sizeof view, ", pixels of %d and %d channels", an_plan_x_pitch(spec), an_plan_y_pitch(spec));
    snprintf(text, size,
             "a %s convolution's %s, %d x %d x %d x %d to %d channels, window %d, stride %d, padding %d, %d "
             "group%s%s",
             an_cuda_precision_name(spec->precision), an_plan_kind_name(spec->kind), spec->n, spec->h, spec->w, spec->c,
             spec->k, spec->kernel, spec->stride, spec->pad, spec->groups, spec->groups > 1 ? "s" : "", view);
}

static const cudnnBackendHeurMode_t modes[] = {CUDNN_HEUR_MODE_A, CUDNN_HEUR_MODE_FALLBACK};
#define MODES 2

static int outputs_of(const an_plan_spec *spec, int inputs)
{
    return (inputs + 2 * spec->pad - spec->kernel) / spec->stride + 1;
}

/* Unequal padding, for instance, is no spec: it would compute other outputs than are asked for. */
static int spec_check(const an_plan *plan, const an_plan_spec *spec)
{
    if (outputs_of(spec, spec->h) == spec->oh && outputs_of(spec, spec->w) == spec->ow)
        return AN_OK;
    return an_error(AN_EINTERNAL, "%s has %d x %d outputs, not %d x %d", plan->subject, outputs_of(spec, spec->h),
                    outputs_of(spec, spec->w), spec->oh, spec->ow);
}

static int graph_build(an_plan *plan, const an_plan_spec *spec, descriptor *graph)
{
    descriptor ops[3];
    int64_t count;
    memset(plan, 0, sizeof *plan);
    an_plan_subject(spec, plan->subject, sizeof plan->subject);
    int rc = spec_check(plan, spec);
    if (rc)
        return rc;
    rc = operations(plan, spec, ops, &count);
    if (rc)
        return rc;
    rc = an_plan_part(plan, CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR, graph);
    if (rc)
        return rc;
    an_plan_setter s = {plan, *graph, AN_OK};
    an_plan_set(&s, CUDNN_ATTR_OPERATIONGRAPH_OPS, CUDNN_TYPE_BACKEND_DESCRIPTOR, count, ops);
    return an_plan_finalize(&s);
}

static int plan_build(an_plan *plan, const an_plan_spec *spec, descriptor device, const char *engine)
{
    descriptor graph;
    int rc = graph_build(plan, spec, &graph);
    for (int m = 0; m < MODES && !rc && !plan->plan; m++) {
        an_plan_proposal proposals[AN_PLAN_PROPOSALS];
        int count;
        bool taken = false;
        rc = an_plan_proposals(plan, spec, graph, device, modes[m], proposals, &count);
        for (int i = 0; i < count && !rc && !taken; i++)
            if (!engine || !strcmp(engine, proposals[i].name))
                rc = an_plan_accept(plan, &proposals[i], device, &taken);
    }
    if (rc || plan->plan)
        return rc;
    return an_error(AN_EUNSUPPORTED, "cuDNN has no deterministic engine%s%s for %s", engine ? " " : "",
                    engine ? engine : "", plan->subject);
}

int an_plan_make(an_plan *plan, const an_plan_spec *spec, cudnnBackendDescriptor_t device, const char *engine)
{
    int rc = plan_build(plan, spec, device, engine);
    if (rc)
        an_plan_free(plan);
    return rc;
}

static bool is_listed(char (*names)[AN_PLAN_ENGINE_NAME], int count, const char *name)
{
    for (int i = 0; i < count; i++)
        if (!strcmp(names[i], name))
            return true;
    return false;
}

int an_plan_engines(const an_plan_spec *spec, cudnnBackendDescriptor_t device, char (*names)[AN_PLAN_ENGINE_NAME],
                    int room, int *count)
{
    an_plan plan;
    descriptor graph;
    int rc = graph_build(&plan, spec, &graph);
    *count = 0;
    for (int m = 0; m < MODES && !rc; m++) {
        an_plan_proposal proposals[AN_PLAN_PROPOSALS];
        int found;
        rc = an_plan_proposals(&plan, spec, graph, device, modes[m], proposals, &found);
        for (int i = 0; i < found && !rc && *count < room; i++)
            if (!is_listed(names, *count, proposals[i].name))
                memcpy(names[(*count)++], proposals[i].name, AN_PLAN_ENGINE_NAME);
    }
    an_plan_free(&plan);
    return rc;
}

void an_plan_free(an_plan *plan)
{
    while (plan->made_count)
        an_plan_part_drop(plan);
    plan->plan = NULL;
    plan->pack_count = 0;
}

int an_plan_bind(an_plan *plan, const an_plan_spec *spec, void *x, void *y, void *w, void *b, void *workspace)
{
    for (; plan->pack_count; plan->pack_count--)
        an_plan_part_drop(plan);
    return an_plan_bind_second(plan, spec, x, y, w, b, workspace);
}

int an_plan_bind_second(an_plan *plan, const an_plan_spec *spec, void *x, void *y, void *w, void *b, void *workspace)
{
    int64_t ids[] = {AN_PLAN_X, AN_PLAN_Y, AN_PLAN_W, AN_PLAN_B}, count = spec->kind == AN_PLAN_FORWARD ? 4 : 3;
    void *addresses[] = {x, y, w, b};
    descriptor *pack = &plan->packs[plan->pack_count];
    int rc = an_plan_part(plan, CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR, pack);
    if (rc)
        return rc;
    plan->pack_count++;
    an_plan_setter s = {plan, *pack, AN_OK};
    an_plan_set(&s, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS, CUDNN_TYPE_INT64, count, ids);
    an_plan_set(&s, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS, CUDNN_TYPE_VOID_PTR, count, addresses);
    an_plan_set(&s, CUDNN_ATTR_VARIANT_PACK_WORKSPACE, CUDNN_TYPE_VOID_PTR, 1, &workspace);
    return an_plan_finalize(&s);
}

int an_plan_run(const an_plan *plan, cudnnHandle_t handle)
{
    int rc = AN_OK;
    for (int i = 0; i < plan->pack_count && !rc; i++)
        rc = an_cudnn_check(cudnnBackendExecute(handle, plan->plan, plan->packs[i]), "run %s", plan->subject);
    return rc;
}

static int device_make(cudnnBackendDescriptor_t *out, cudnnBackendAttributeName_t name,
                       cudnnBackendAttributeType_t type, int64_t count, const void *value)
{
    descriptor device;
    int rc = an_cudnn_check(cudnnBackendCreateDescriptor(CUDNN_BACKEND_DEVICEPROP_DESCRIPTOR, &device),
                            "make a cuDNN device description");
    if (rc)
        return rc;
    rc = an_cudnn_check(cudnnBackendSetAttribute(device, name, type, count, value), "describe a device to cuDNN");
    if (!rc)
        rc = an_cudnn_check(cudnnBackendFinalize(device), "describe a device to cuDNN");
    if (rc)
        cudnnBackendDestroyDescriptor(device);
    else
        *out = device;
    return rc;
}

int an_plan_device_current(cudnnBackendDescriptor_t *out)
{
    int32_t id;
    int rc = an_cuda_check(cudaGetDevice(&id), "ask for the current device");
    if (rc)
        return rc;
    return device_make(out, CUDNN_ATTR_DEVICEPROP_DEVICE_ID, CUDNN_TYPE_INT32, 1, &id);
}

int an_plan_device_described(cudnnBackendDescriptor_t *out, const char *json)
{
    return device_make(out, CUDNN_ATTR_DEVICEPROP_JSON_REPRESENTATION, CUDNN_TYPE_CHAR, (int64_t)strlen(json), json);
}
