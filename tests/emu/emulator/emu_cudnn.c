/* The emulated cuDNN: operation graphs of a convolution with optional bias and activation, and of its two gradients. A
 * descriptor keeps the attributes that were set. They are checked when it is finalised, and used when a plan is
 * executed. */
#include <cudnn.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/emu/emulator/emu_math.h"
#include "tests/emu/emulator/emu_private.h"

#define ATTRIBUTES 16
#define ALIVE 0x4E4E4455u
#define WORKSPACE 2048

typedef struct {
    cudnnBackendAttributeName_t name;
    cudnnBackendAttributeType_t type;
    int64_t count;
    unsigned char bytes[128];
} attribute;

typedef struct {
    unsigned alive;
    cudnnBackendDescriptorType_t type;
    bool final;
    int index; /* of an engine: the number of its proposal */
    int count;
    attribute attributes[ATTRIBUTES];
} descriptor;

struct cudnnContext {
    int device;
    cudaStream_t stream;
};

static __thread char last_error[256];

static cudnnStatus_t refuse(cudnnStatus_t status, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(last_error, sizeof last_error, format, args);
    va_end(args);
    return status;
}

static size_t element_size(cudnnBackendAttributeType_t type)
{
    switch (type) {
    case CUDNN_TYPE_INT64:
    case CUDNN_TYPE_DOUBLE:
    case CUDNN_TYPE_VOID_PTR:
    case CUDNN_TYPE_BACKEND_DESCRIPTOR:
    case CUDNN_TYPE_HANDLE:
        return 8;
    case CUDNN_TYPE_BOOLEAN:
    case CUDNN_TYPE_CHAR:
        return 1;
    default:
        return 4;
    }
}

static bool alive(const void *at, const char *what)
{
    const descriptor *d = at;
    if (d && d->alive == ALIVE)
        return true;
    emu_violation("cuDNN: %s is used that does not exist", what);
    return false;
}

static const attribute *find(const descriptor *d, cudnnBackendAttributeName_t name)
{
    for (int i = 0; i < d->count; i++)
        if (d->attributes[i].name == name)
            return &d->attributes[i];
    return NULL;
}

static const void *value(const descriptor *d, cudnnBackendAttributeName_t name)
{
    const attribute *a = find(d, name);
    return a ? a->bytes : NULL;
}

static int64_t number(const descriptor *d, cudnnBackendAttributeName_t name)
{
    int64_t out = 0;
    const void *at = value(d, name);
    if (at)
        memcpy(&out, at, sizeof out);
    return out;
}

static int word(const descriptor *d, cudnnBackendAttributeName_t name)
{
    int out = -1;
    const void *at = value(d, name);
    if (at)
        memcpy(&out, at, sizeof out);
    return out;
}

static const descriptor *part(const descriptor *d, cudnnBackendAttributeName_t name, int i)
{
    const attribute *a = find(d, name);
    const descriptor *out = NULL;
    if (a && i < a->count)
        memcpy(&out, a->bytes + (size_t)i * sizeof out, sizeof out);
    return out && alive(out, "a part of a descriptor") ? out : NULL;
}

cudnnStatus_t cudnnCreate(cudnnHandle_t *out)
{
    *out = emu_new(sizeof **out);
    (*out)->device = emu_current_device();
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnDestroy(cudnnHandle_t handle)
{
    free(handle);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnSetStream(cudnnHandle_t handle, cudaStream_t stream)
{
    handle->stream = stream;
    return CUDNN_STATUS_SUCCESS;
}

size_t cudnnGetVersion(void)
{
    return CUDNN_VERSION;
}

const char *cudnnGetErrorString(cudnnStatus_t status)
{
    return status == CUDNN_STATUS_SUCCESS ? "success" : "emulated error";
}

void cudnnGetLastErrorString(char *message, size_t size)
{
    snprintf(message, size, "%s", last_error);
}

cudnnStatus_t cudnnBackendCreateDescriptor(cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *out)
{
    descriptor *d = emu_new(sizeof *d);
    d->alive = ALIVE;
    d->type = type;
    *out = d;
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendDestroyDescriptor(cudnnBackendDescriptor_t at)
{
    descriptor *d = at;
    if (!alive(d, "a descriptor"))
        return CUDNN_STATUS_BAD_PARAM;
    d->alive = 0;
    free(d);
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendSetAttribute(cudnnBackendDescriptor_t at, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t count, const void *values)
{
    descriptor *d = at;
    size_t size = (size_t)count * element_size(type);
    if (!alive(d, "a descriptor"))
        return CUDNN_STATUS_BAD_PARAM;
    if (d->final)
        return refuse(CUDNN_STATUS_BAD_PARAM, "attribute %d is set after finalisation", (int)name);
    if (d->count == ATTRIBUTES || (size > sizeof d->attributes->bytes && type != CUDNN_TYPE_CHAR))
        return refuse(CUDNN_STATUS_BAD_PARAM, "attribute %d has %lld elements", (int)name, (long long)count);
    attribute *a = &d->attributes[d->count++];
    *a = (attribute){.name = name, .type = type, .count = count};
    memcpy(a->bytes, values, size < sizeof a->bytes ? size : sizeof a->bytes);
    return CUDNN_STATUS_SUCCESS;
}

/* Tensors. */
typedef struct {
    int64_t id, n, c, h, w, pitch; /* pitch: values from one pixel to the next */
    bool bf16, virtual;
} shape;

static shape shape_of(const descriptor *d)
{
    int64_t dims[4] = {0}, strides[4] = {0};
    const void *at = value(d, CUDNN_ATTR_TENSOR_DIMENSIONS), *is_virtual = value(d, CUDNN_ATTR_TENSOR_IS_VIRTUAL);
    const void *apart = value(d, CUDNN_ATTR_TENSOR_STRIDES);
    if (at)
        memcpy(dims, at, sizeof dims);
    if (apart)
        memcpy(strides, apart, sizeof strides);
    return (shape){number(d, CUDNN_ATTR_TENSOR_UNIQUE_ID),
                   dims[0],
                   dims[1],
                   dims[2],
                   dims[3],
                   strides[3],
                   word(d, CUDNN_ATTR_TENSOR_DATA_TYPE) == CUDNN_DATA_BFLOAT16,
                   is_virtual && *(const bool *)is_virtual};
}

static size_t shape_count(shape s)
{
    return (size_t)(s.n * s.c * s.h * s.w);
}

/* From the first value to the last, those of the channels in between that a view leaves out among them. */
static size_t shape_span(shape s)
{
    return (size_t)((s.n * s.h * s.w - 1) * s.pitch + s.c);
}

static size_t shape_bytes(shape s)
{
    return shape_span(s) * (s.bf16 ? 2 : 4);
}

/* Accepts only the layouts that the backend uses: channels innermost, and nothing or the same number of values between
 * any two pixels. */
static cudnnStatus_t tensor_check(const descriptor *d)
{
    shape s = shape_of(d);
    int64_t strides[4] = {0}, wanted[] = {s.h * s.w * s.pitch, 1, s.w * s.pitch, s.pitch};
    const void *at = value(d, CUDNN_ATTR_TENSOR_STRIDES);
    int type = word(d, CUDNN_ATTR_TENSOR_DATA_TYPE);
    if (at)
        memcpy(strides, at, sizeof strides);
    if (s.n < 1 || s.c < 1 || s.h < 1 || s.w < 1 || (type != CUDNN_DATA_FLOAT && type != CUDNN_DATA_BFLOAT16))
        return refuse(CUDNN_STATUS_BAD_PARAM, "a tensor of %lld x %lld x %lld x %lld of type %d", (long long)s.n,
                      (long long)s.c, (long long)s.h, (long long)s.w, type);
    if (s.pitch < s.c || memcmp(strides, wanted, sizeof strides) != 0)
        return refuse(CUDNN_STATUS_BAD_PARAM, "a tensor's strides %lld %lld %lld %lld do not fit its dimensions",
                      (long long)strides[0], (long long)strides[1], (long long)strides[2], (long long)strides[3]);
    if (number(d, CUDNN_ATTR_TENSOR_BYTE_ALIGNMENT) < 4 || !s.id)
        return refuse(CUDNN_STATUS_BAD_PARAM, "a tensor without alignment or id");
    return CUDNN_STATUS_SUCCESS;
}

typedef enum { FORWARD, DATA, WEIGHTS } direction;

typedef struct {
    direction way;
    shape x, y, w, b;
    int64_t stride, pad, pad_after;
    bool bias, split;
    emu_flaw flaw;
    int activation; /* pointwise mode, or 0 */
    shape out;      /* what is stored */
} convolution;

static int64_t pair_value(const descriptor *d, cudnnBackendAttributeName_t name)
{
    int64_t both[2] = {-1, -2};
    const void *at = value(d, name);
    if (at)
        memcpy(both, at, sizeof both);
    return both[0] == both[1] ? both[0] : -1;
}

static bool conv_parts(const descriptor *d, convolution *c, const descriptor **settings)
{
    static const cudnnBackendAttributeName_t names[][4] = {
        {CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_X, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_W,
         CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_Y, CUDNN_ATTR_OPERATION_CONVOLUTION_FORWARD_CONV_DESC},
        {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DX, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_W,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_DATA_CONV_DESC},
        {CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_X, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DW,
         CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_DY, CUDNN_ATTR_OPERATION_CONVOLUTION_BWD_FILTER_CONV_DESC}};
    c->way = d->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR         ? FORWARD
             : d->type == CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR ? DATA
                                                                                       : WEIGHTS;
    const descriptor *x = part(d, names[c->way][0], 0), *w = part(d, names[c->way][1], 0);
    const descriptor *y = part(d, names[c->way][2], 0);
    *settings = part(d, names[c->way][3], 0);
    if (!x || !w || !y || !*settings || !x->final || !w->final || !y->final || !(*settings)->final)
        return false;
    c->x = shape_of(x);
    c->w = shape_of(w);
    c->y = shape_of(y);
    return true;
}

static cudnnStatus_t conv_check(const descriptor *d, convolution *c)
{
    const descriptor *settings;
    if (!conv_parts(d, c, &settings))
        return refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "a convolution with parts missing or not finalised");
    int64_t before[2], after[2], groups = c->w.c ? c->x.c / c->w.c : 0;
    c->stride = pair_value(settings, CUDNN_ATTR_CONVOLUTION_FILTER_STRIDES);
    c->pad = pair_value(settings, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS);
    memcpy(before, value(settings, CUDNN_ATTR_CONVOLUTION_PRE_PADDINGS), sizeof before);
    memcpy(after, value(settings, CUDNN_ATTR_CONVOLUTION_POST_PADDINGS), sizeof after);
    c->pad_after = after[0];
    if (c->stride < 1 || c->pad < 0 || pair_value(settings, CUDNN_ATTR_CONVOLUTION_DILATIONS) != 1 ||
        groups * c->w.c != c->x.c || c->w.n != c->y.c || c->w.pitch != c->w.c || c->y.c % groups || c->x.n != c->y.n ||
        c->y.h != (c->x.h + before[0] + after[0] - c->w.h) / c->stride + 1 ||
        c->y.w != (c->x.w + before[1] + after[1] - c->w.w) / c->stride + 1)
        return refuse(CUDNN_STATUS_BAD_PARAM, "a convolution whose shapes do not fit");
    return CUDNN_STATUS_SUCCESS;
}

static cudnnStatus_t graph_check(const descriptor *graph, convolution *c)
{
    const attribute *ops = find(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS);
    const descriptor *first = ops ? part(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, 0) : NULL;
    memset(c, 0, sizeof *c);
    if (!first)
        return refuse(CUDNN_STATUS_BAD_PARAM, "a graph without operations");
    cudnnStatus_t status = conv_check(first, c);
    c->out = c->y;
    for (int i = 1; i < ops->count && status == CUDNN_STATUS_SUCCESS; i++) {
        const descriptor *op = part(graph, CUDNN_ATTR_OPERATIONGRAPH_OPS, i);
        const descriptor *x = part(op, CUDNN_ATTR_OPERATION_POINTWISE_XDESC, 0);
        const descriptor *y = part(op, CUDNN_ATTR_OPERATION_POINTWISE_YDESC, 0);
        int mode = word(part(op, CUDNN_ATTR_OPERATION_POINTWISE_PW_DESCRIPTOR, 0), CUDNN_ATTR_POINTWISE_MODE);
        if (!x || !y || shape_of(x).id != c->out.id || !c->out.virtual || c->out.bf16)
            return refuse(CUDNN_STATUS_BAD_PARAM, "an operation that does not continue with a virtual fp32 tensor");
        c->out = shape_of(y);
        if (mode == CUDNN_POINTWISE_ADD) {
            c->bias = true;
            c->b = shape_of(part(op, CUDNN_ATTR_OPERATION_POINTWISE_BDESC, 0));
            if (c->b.n != 1 || c->b.c != c->y.c || c->b.h != 1 || c->b.w != 1)
                return refuse(CUDNN_STATUS_BAD_PARAM, "a bias of another shape than 1 x %lld", (long long)c->y.c);
        } else
            c->activation = mode;
    }
    if (status == CUDNN_STATUS_SUCCESS && c->out.virtual)
        return refuse(CUDNN_STATUS_BAD_PARAM, "a graph whose result is virtual");
    return status;
}

static cudnnStatus_t pack_check(const descriptor *d)
{
    const attribute *ids = find(d, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    const attribute *places = find(d, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    if (!ids || !places || ids->count != places->count || !find(d, CUDNN_ATTR_VARIANT_PACK_WORKSPACE))
        return refuse(CUDNN_STATUS_BAD_PARAM, "a pack without ids, places or workspace");
    return CUDNN_STATUS_SUCCESS;
}

/* What the heuristic proposes for every graph. */
static const struct {
    int engine;
    bool deterministic, taken, split; /* split: sums in two halves, which gives other bits */
    int64_t tile;                     /* the value of its only knob; 0: it has none */
} proposals[] = {{7, false, true, false, 0},
                 {8, true, true, false, 0},
                 {9, true, false, false, 0},
                 {10, true, true, true, 1},
                 {10, true, true, true, 2}};
#define PROPOSALS (int)(sizeof proposals / sizeof *proposals)

static unsigned (*price)(const emu_convolution *convolution);

void emu_price_set(unsigned (*set)(const emu_convolution *convolution))
{
    price = set;
}

static unsigned price_of(const convolution *c)
{
    emu_convolution asked = {.pass = c->way == FORWARD ? EMU_FORWARD
                                     : c->way == DATA  ? EMU_DATA
                                                       : EMU_WEIGHTS,
                             .channels = (int)c->x.c,
                             .maps = (int)c->y.c,
                             .groups = (int)(c->x.c / c->w.c),
                             .x_view = c->x.pitch != c->x.c,
                             .y_view = c->y.pitch != c->y.c};
    return price ? price(&asked) : 0;
}

static cudnnStatus_t plan_check(const descriptor *d)
{
    const descriptor *config = part(d, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, 0);
    const descriptor *graph = config ? part(config, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, 0) : NULL;
    convolution c;
    if (!graph || !part(d, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, 0))
        return refuse(CUDNN_STATUS_BAD_PARAM, "a plan without engine or device");
    cudnnStatus_t status = graph_check(graph, &c);
    if (status != CUDNN_STATUS_SUCCESS)
        return status;
    if (!proposals[config->index].taken || price_of(&c) == EMU_REFUSED)
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "an engine that does not take the graph after all");
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendFinalize(cudnnBackendDescriptor_t at)
{
    descriptor *d = at;
    convolution c;
    cudnnStatus_t status = CUDNN_STATUS_SUCCESS;
    if (!alive(d, "a descriptor"))
        return CUDNN_STATUS_BAD_PARAM;
    switch (d->type) {
    case CUDNN_BACKEND_TENSOR_DESCRIPTOR:
        status = tensor_check(d);
        break;
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_FORWARD_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_DATA_DESCRIPTOR:
    case CUDNN_BACKEND_OPERATION_CONVOLUTION_BACKWARD_FILTER_DESCRIPTOR:
        status = conv_check(d, &c);
        break;
    case CUDNN_BACKEND_OPERATIONGRAPH_DESCRIPTOR:
        status = graph_check(d, &c);
        break;
    case CUDNN_BACKEND_VARIANT_PACK_DESCRIPTOR:
        status = pack_check(d);
        break;
    case CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR:
        status = plan_check(d);
        break;
    default:
        break;
    }
    d->final = status == CUDNN_STATUS_SUCCESS;
    return status;
}

static void attribute_put(descriptor *d, cudnnBackendAttributeName_t name, const descriptor *target)
{
    attribute *a = &d->attributes[d->count++];
    *a = (attribute){.name = name, .type = CUDNN_TYPE_BACKEND_DESCRIPTOR, .count = 1};
    memcpy(a->bytes, &target, sizeof target);
    d->final = true;
}

static cudnnStatus_t heuristic_get(const descriptor *d, int64_t wanted, int64_t *count, void *out)
{
    const descriptor *graph = part(d, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, 0);
    for (*count = 0; *count < PROPOSALS && *count < wanted; ++*count) {
        descriptor *config = ((descriptor **)out)[*count];
        attribute_put(config, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, graph);
        config->index = (int)*count;
    }
    return d->final ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED;
}

static cudnnStatus_t knobs_get(const descriptor *d, int64_t wanted, int64_t *count, void *out)
{
    *count = proposals[d->index].tile && wanted > 0;
    if (*count) {
        (*(descriptor **)out)->index = d->index;
        (*(descriptor **)out)->final = true;
    }
    return CUDNN_STATUS_SUCCESS;
}

cudnnStatus_t cudnnBackendGetAttribute(cudnnBackendDescriptor_t const at, cudnnBackendAttributeName_t name,
                                       cudnnBackendAttributeType_t type, int64_t wanted, int64_t *count, void *out)
{
    const descriptor *d = at;
    (void)type;
    if (!alive(d, "a descriptor"))
        return CUDNN_STATUS_BAD_PARAM;
    *count = 1;
    switch (name) {
    case CUDNN_ATTR_ENGINEHEUR_RESULTS:
        return heuristic_get(d, wanted, count, out);
    case CUDNN_ATTR_ENGINECFG_ENGINE:
        (*(descriptor **)out)->index = d->index;
        (*(descriptor **)out)->final = true;
        return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINE_NUMERICAL_NOTE:
        *count = !proposals[d->index].deterministic;
        if (*count)
            *(cudnnBackendNumericalNote_t *)out = CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC;
        return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINE_GLOBAL_INDEX:
        *(int64_t *)out = proposals[d->index].engine;
        return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_ENGINECFG_KNOB_CHOICES:
        return knobs_get(d, wanted, count, out);
    case CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE:
        *(cudnnBackendKnobType_t *)out = CUDNN_KNOB_TYPE_TILE_SIZE;
        return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE:
        *(int64_t *)out = proposals[d->index].tile;
        return CUDNN_STATUS_SUCCESS;
    case CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE:
        *(int64_t *)out = WORKSPACE;
        return CUDNN_STATUS_SUCCESS;
    default:
        return refuse(CUDNN_STATUS_NOT_SUPPORTED, "attribute %d cannot be read", (int)name);
    }
}

/* Execution. */
typedef struct {
    convolution conv;
    void *x, *y, *w, *b; /* y: the result of the last operation of the graph */
} run_data;

/* Copies the windows of one image and group into rows (im2col); with back, adds the rows to the image instead. */
static void rows_move(const convolution *c, int64_t n, int64_t group, float *x, float *rows, bool back)
{
    for (int64_t oy = 0; oy < c->y.h; oy++)
        for (int64_t ox = 0; ox < c->y.w; ox++)
            for (int64_t ky = 0; ky < c->w.h; ky++)
                for (int64_t kx = 0; kx < c->w.w; kx++, rows += c->w.c) {
                    int64_t iy = oy * c->stride - c->pad + ky, ix = ox * c->stride - c->pad + kx;
                    bool inside = iy >= 0 && iy < c->x.h && ix >= 0 && ix < c->x.w;
                    float *at = inside ? x + ((n * c->x.h + iy) * c->x.w + ix) * c->x.c + group * c->w.c : NULL;
                    for (int64_t i = 0; i < c->w.c && back && at; i++)
                        at[i] += rows[i];
                    for (int64_t i = 0; i < c->w.c && !back; i++)
                        rows[i] = at ? at[i] : 0;
                }
}

static void group_work(const convolution *c, int64_t n, int64_t group, float *x, float *w, float *y, float *rows)
{
    int places = (int)(c->y.h * c->y.w), window = (int)(c->w.h * c->w.w * c->w.c), all = (int)c->y.c;
    int64_t read = c->flaw.fault == EMU_WRONG_GROUPED ? 0 : group; /* the group of x that is worked on */
    int left = c->flaw.fault == EMU_WRONG;                         /* products left out of each sum */
    int maps = (int)(c->y.c / (c->x.c / c->w.c));
    emu_matrix windows = {rows, window, false}, weights = {w + group * maps * window, window, false};
    emu_matrix out = {y + n * places * all + group * maps, all, false};
    if (c->way != DATA)
        rows_move(c, n, read, x, rows, false);
    if (c->way == FORWARD)
        emu_product(windows, emu_turned(weights), out, places, maps, window - left, c->split);
    if (c->way == WEIGHTS)
        emu_product(emu_turned(out), windows, weights, maps, window, places - left, c->split);
    if (c->way == DATA) {
        memset(rows, 0, (size_t)places * (size_t)window * sizeof *rows);
        emu_product(out, weights, windows, places, window, maps - left, c->split);
        rows_move(c, n, read, x, rows, true);
    }
}

static float activated(int mode, float v)
{
    switch (mode) {
    case CUDNN_POINTWISE_RELU_FWD:
        return v < 0 ? 0 : v;
    case CUDNN_POINTWISE_TANH_FWD:
        return tanhf(v);
    case CUDNN_POINTWISE_SIGMOID_FWD:
        return 1 / (1 + expf(-v));
    default:
        return v;
    }
}

/* The values of a tensor, without those between its pixels; zeros for a result. */
static float *operand(const void *at, shape s, bool result)
{
    if (result)
        return emu_new(shape_count(s) * sizeof(float));
    float *all = emu_floats(emu_inside(at), s.bf16, shape_span(s));
    for (int64_t pixel = 1; pixel < s.n * s.h * s.w && s.pitch != s.c; pixel++)
        memmove(all + pixel * s.c, all + pixel * s.pitch, (size_t)s.c * sizeof *all);
    return all;
}

/* Leaves the values between the pixels as they are. */
static void operand_store(void *at, shape s, const float *values)
{
    char *to = emu_inside(at);
    if (s.pitch == s.c) {
        emu_floats_store(to, s.bf16, values, shape_count(s));
        return;
    }
    for (int64_t pixel = 0; pixel < s.n * s.h * s.w; pixel++)
        emu_floats_store(to + pixel * s.pitch * (s.bf16 ? 2 : 4), s.bf16, values + pixel * s.c, (size_t)s.c);
}

/* Writes a result, as the engine's flaws leave it. */
static void flawed_store(const convolution *c, void *at, shape s, const float *values)
{
    size_t size = s.bf16 ? 2 : 4;
    char *last = (char *)emu_inside(at) + (shape_span(s) - 1) * size;
    uint32_t kept;
    emu_flaw_before(&c->flaw, last, size, &kept);
    operand_store(at, s, values);
    emu_flaw_after(&c->flaw, last, size, &kept);
}

static void result_store(const run_data *r, const float *x, const float *w, float *y)
{
    const convolution *c = &r->conv;
    if (c->way == DATA)
        flawed_store(c, r->x, c->x, x);
    if (c->way == WEIGHTS)
        flawed_store(c, r->w, c->w, w);
    if (c->way != FORWARD)
        return;
    float *bias = c->bias ? emu_floats(emu_inside(r->b), c->b.bf16, shape_count(c->b)) : NULL;
    for (size_t i = 0; i < shape_count(c->y); i++)
        y[i] = activated(c->activation, y[i] + (bias ? bias[i % (size_t)c->y.c] : 0));
    flawed_store(c, r->y, c->out, y);
    free(bias);
}

static void run_work(void *data)
{
    const run_data *r = data;
    const convolution *c = &r->conv;
    float *x = operand(r->x, c->x, c->way == DATA), *w = operand(r->w, c->w, c->way == WEIGHTS);
    float *y = operand(r->y, c->y, c->way == FORWARD);
    float *rows = emu_new((size_t)(c->y.h * c->y.w * c->w.h * c->w.w * c->w.c) * sizeof *rows);
    for (int64_t n = 0; n < c->y.n; n++)
        for (int64_t group = 0; group < c->x.c / c->w.c; group++)
            group_work(c, n, group, x, w, y, rows);
    result_store(r, x, w, y);
    free(rows);
    free(x);
    free(w);
    free(y);
}

static void *pack_place(const descriptor *pack, int64_t id)
{
    const attribute *ids = find(pack, CUDNN_ATTR_VARIANT_PACK_UNIQUE_IDS);
    const attribute *places = find(pack, CUDNN_ATTR_VARIANT_PACK_DATA_POINTERS);
    for (int64_t i = 0; i < ids->count; i++) {
        int64_t found;
        void *place;
        memcpy(&found, ids->bytes + i * 8, sizeof found);
        memcpy(&place, places->bytes + i * 8, sizeof place);
        if (found != id)
            continue;
        if ((uintptr_t)place % 16)
            emu_violation("cuDNN: tensor %lld is not aligned", (long long)id);
        return place;
    }
    emu_violation("cuDNN: no place for tensor %lld", (long long)id);
    return NULL;
}

cudnnStatus_t cudnnBackendExecute(cudnnHandle_t handle, cudnnBackendDescriptor_t at, cudnnBackendDescriptor_t pack_at)
{
    const descriptor *plan = at, *pack = pack_at;
    if (!alive(plan, "a plan") || !alive(pack, "a pack") || !plan->final || !pack->final)
        return refuse(CUDNN_STATUS_BAD_PARAM_NOT_FINALIZED, "a plan or pack that is not finalised");
    const descriptor *config = part(plan, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, 0);
    const descriptor *graph = config ? part(config, CUDNN_ATTR_ENGINE_OPERATION_GRAPH, 0) : NULL;
    if (config && emu_refuses(EMU_CUDNN, config->index))
        return refuse(CUDNN_STATUS_EXECUTION_FAILED, "an engine that fails when it is run");
    emu_task task = {.name = "cudnnBackendExecute", .work = run_work};
    run_data *r = task.data = emu_new(sizeof *r);
    if (!graph || graph_check(graph, &r->conv) != CUDNN_STATUS_SUCCESS || handle->device != emu_current_device())
        emu_violation("cuDNN: a plan whose parts are gone, or a handle of another device");
    else {
        r->conv.split = proposals[config->index].split;
        r->conv.flaw = emu_flaw_of(EMU_CUDNN, config->index);
        if (r->conv.flaw.fault == EMU_WRONG_PADDED)
            r->conv.pad = r->conv.pad_after;
        task.cost = emu_cost_of(EMU_CUDNN, config->index) + price_of(&r->conv);
    }
    const convolution *c = &r->conv;
    r->x = pack_place(pack, c->x.id);
    r->w = pack_place(pack, c->w.id);
    r->y = pack_place(pack, c->out.id);
    r->b = c->bias ? pack_place(pack, c->b.id) : NULL;
    void *workspace;
    memcpy(&workspace, value(pack, CUDNN_ATTR_VARIANT_PACK_WORKSPACE), sizeof workspace);
    emu_access_add(&task, r->x, shape_bytes(c->x), c->way == DATA, "x");
    emu_access_add(&task, r->w, shape_bytes(c->w), c->way == WEIGHTS, "w");
    emu_access_add(&task, r->y, shape_bytes(c->out), c->way == FORWARD, "y");
    emu_access_add(&task, r->b, shape_bytes(c->b), false, "the bias");
    emu_access_add(&task, workspace, WORKSPACE, true, "the workspace");
    return emu_submit(handle->stream, &task) == cudaSuccess ? CUDNN_STATUS_SUCCESS : CUDNN_STATUS_EXECUTION_FAILED;
}
