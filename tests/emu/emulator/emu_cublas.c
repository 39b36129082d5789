/* The emulated cuBLASLt: column-major products, D = op(A) op(B) + beta D with optional bias and ReLU. */
#include <cublasLt.h>
#include <stdlib.h>
#include <string.h>

#include "tests/emu/emulator/emu_math.h"
#include "tests/emu/emulator/emu_private.h"

#define ALIVE 0x414C4956u
#define ALGORITHM 0x414E414Cu
#define WORKSPACE 4096
#define FAILED 1 /* the number of the heuristic's result that is marked as failed */

/* What the words of an algorithm mean. */
typedef struct {
    int32_t id, split;
    uint32_t tile, stages, reduction, swizzle, custom;
    uint16_t inner, cluster;
} config;

/* What the heuristic finds; all but the first sum in two halves. Algorithm 21 knows neither inner shapes nor clusters,
 * and is not made by its number. */
static const config proposals[] = {{.id = 10, .split = 1, .tile = 15, .stages = 8, .cluster = 2},
                                   {.id = 10, .split = 1, .tile = 20, .stages = 8, .cluster = 2},
                                   {.id = 21, .split = 2, .tile = 20, .reduction = 2}};
#define PROPOSALS (int)(sizeof proposals / sizeof *proposals)
#define NEVER_MADE 21

/* The words: what they mean, among bits that were left in memory. */
typedef struct {
    uint32_t magic, leftover;
    config says;
    uint32_t rest[5];
} algorithm;
_Static_assert(sizeof(algorithm) <= sizeof(cublasLtMatmulAlgo_t), "the words of an algorithm");

typedef struct {
    unsigned alive;
    int device;
} handle;

typedef struct {
    unsigned alive;
    cudaDataType_t type;
    uint64_t rows, columns;
    int64_t lead;
} layout;

typedef struct {
    unsigned alive;
    cublasComputeType_t compute;
    cublasOperation_t a, b;
    cublasLtEpilogue_t epilogue;
    const void *bias;
} operation;

typedef struct {
    operation op;
    layout a, b, d;
    const void *at, *bt;
    void *dt;
    float beta;
    bool split; /* by the algorithm */
    emu_flaw flaw;
} product;

static bool alive(const void *object, const char *what)
{
    if (object && *(const unsigned *)object == ALIVE)
        return true;
    emu_violation("cuBLASLt: %s is used that does not exist", what);
    return false;
}

cublasStatus_t cublasLtCreate(cublasLtHandle_t *out)
{
    handle *h = emu_new(sizeof *h);
    *h = (handle){ALIVE, emu_current_device()};
    *out = (cublasLtHandle_t)h;
    return CUBLAS_STATUS_SUCCESS;
}

static cublasStatus_t destroy(void *object, const char *what)
{
    if (!alive(object, what))
        return CUBLAS_STATUS_INVALID_VALUE;
    *(unsigned *)object = 0;
    free(object);
    return CUBLAS_STATUS_SUCCESS;
}

size_t cublasLtGetVersion(void)
{
    return CUBLAS_VERSION;
}

cublasStatus_t cublasLtDestroy(cublasLtHandle_t h)
{
    return destroy(h, "a handle");
}

const char *cublasLtGetStatusString(cublasStatus_t status)
{
    return status == CUBLAS_STATUS_SUCCESS ? "success" : "emulated error";
}

cublasStatus_t cublasLtMatrixLayoutCreate(cublasLtMatrixLayout_t *out, cudaDataType type, uint64_t rows,
                                          uint64_t columns, int64_t lead)
{
    layout *l = emu_new(sizeof *l);
    *l = (layout){ALIVE, type, rows, columns, lead};
    if (lead < (int64_t)rows)
        emu_violation("cuBLASLt: columns of %llu rows only %lld apart", (unsigned long long)rows, (long long)lead);
    *out = (cublasLtMatrixLayout_t)l;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatrixLayoutDestroy(const cublasLtMatrixLayout_t l)
{
    return destroy(l, "a matrix layout");
}

cublasStatus_t cublasLtMatmulDescCreate(cublasLtMatmulDesc_t *out, cublasComputeType_t compute, cudaDataType_t scale)
{
    operation *o = emu_new(sizeof *o);
    *o = (operation){.alive = ALIVE, .compute = compute, .epilogue = CUBLASLT_EPILOGUE_DEFAULT};
    *out = (cublasLtMatmulDesc_t)o;
    return scale == CUDA_R_32F ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_NOT_SUPPORTED;
}

cublasStatus_t cublasLtMatmulDescDestroy(const cublasLtMatmulDesc_t o)
{
    return destroy(o, "an operation");
}

cublasStatus_t cublasLtMatmulDescSetAttribute(cublasLtMatmulDesc_t desc, cublasLtMatmulDescAttributes_t name,
                                              const void *value, size_t size)
{
    operation *o = (operation *)desc;
    const struct {
        cublasLtMatmulDescAttributes_t name;
        void *place;
        size_t size;
    } known[] = {{CUBLASLT_MATMUL_DESC_TRANSA, &o->a, sizeof o->a},
                 {CUBLASLT_MATMUL_DESC_TRANSB, &o->b, sizeof o->b},
                 {CUBLASLT_MATMUL_DESC_EPILOGUE, &o->epilogue, sizeof o->epilogue},
                 {CUBLASLT_MATMUL_DESC_BIAS_POINTER, &o->bias, sizeof o->bias}};
    if (!alive(o, "an operation"))
        return CUBLAS_STATUS_INVALID_VALUE;
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (known[i].name == name && known[i].size == size) {
            memcpy(known[i].place, value, size);
            return CUBLAS_STATUS_SUCCESS;
        }
    emu_violation("cuBLASLt: attribute %d with %zu bytes", (int)name, size);
    return CUBLAS_STATUS_INVALID_VALUE;
}

cublasStatus_t cublasLtMatmulPreferenceCreate(cublasLtMatmulPreference_t *out)
{
    unsigned *p = emu_new(sizeof *p);
    *p = ALIVE;
    *out = (cublasLtMatmulPreference_t)p;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulPreferenceDestroy(const cublasLtMatmulPreference_t p)
{
    return destroy(p, "a preference");
}

cublasStatus_t cublasLtMatmulPreferenceSetAttribute(cublasLtMatmulPreference_t p,
                                                    cublasLtMatmulPreferenceAttributes_t name, const void *value,
                                                    size_t size)
{
    (void)name, (void)value, (void)size;
    return alive(p, "a preference") ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_INVALID_VALUE;
}

static bool shapes_fit(const operation *o, const layout *a, const layout *b, const layout *d)
{
    uint64_t m = o->a == CUBLAS_OP_T ? a->columns : a->rows, k = o->a == CUBLAS_OP_T ? a->rows : a->columns;
    uint64_t k2 = o->b == CUBLAS_OP_T ? b->columns : b->rows, n = o->b == CUBLAS_OP_T ? b->rows : b->columns;
    bool types = a->type == b->type && (a->type == CUDA_R_16BF || (a->type == CUDA_R_32F && d->type == CUDA_R_32F));
    if (m == d->rows && n == d->columns && k == k2 && types)
        return true;
    emu_violation("cuBLASLt: a product of %llu x %llu and %llu x %llu into %llu x %llu, or of unlike types",
                  (unsigned long long)m, (unsigned long long)k, (unsigned long long)k2, (unsigned long long)n,
                  (unsigned long long)d->rows, (unsigned long long)d->columns);
    return false;
}

static void words_write(cublasLtMatmulAlgo_t *to, const config *says)
{
    algorithm words = {.magic = ALGORITHM, .leftover = emu_leftovers(), .says = *says};
    for (int i = 0; i < 5; i++)
        words.rest[i] = emu_leftovers() * (uint32_t)i;
    memcpy(to, &words, sizeof words);
}

/* The number of the proposal that an algorithm is; -1: none. */
static int proposal_of(const cublasLtMatmulAlgo_t *algo)
{
    algorithm words;
    memcpy(&words, algo, sizeof words);
    for (int i = 0; i < PROPOSALS && words.magic == ALGORITHM; i++)
        if (!memcmp(&words.says, &proposals[i], sizeof words.says))
            return i;
    return -1;
}

/* The place and the size of a setting; NULL: the algorithm does not have it. */
static void *setting(config *c, cublasLtMatmulAlgoConfigAttributes_t name, size_t *size)
{
    *size = name >= CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID ? 2 : 4;
    switch (name) {
    case CUBLASLT_ALGO_CONFIG_ID:
        return &c->id;
    case CUBLASLT_ALGO_CONFIG_TILE_ID:
        return &c->tile;
    case CUBLASLT_ALGO_CONFIG_SPLITK_NUM:
        return &c->split;
    case CUBLASLT_ALGO_CONFIG_REDUCTION_SCHEME:
        return &c->reduction;
    case CUBLASLT_ALGO_CONFIG_CTA_SWIZZLING:
        return &c->swizzle;
    case CUBLASLT_ALGO_CONFIG_CUSTOM_OPTION:
        return &c->custom;
    case CUBLASLT_ALGO_CONFIG_STAGES_ID:
        return &c->stages;
    case CUBLASLT_ALGO_CONFIG_INNER_SHAPE_ID:
        return c->id == NEVER_MADE ? NULL : &c->inner;
    case CUBLASLT_ALGO_CONFIG_CLUSTER_SHAPE_ID:
        return c->id == NEVER_MADE ? NULL : &c->cluster;
    default:
        return NULL;
    }
}

cublasStatus_t cublasLtMatmulAlgoInit(cublasLtHandle_t h, cublasComputeType_t compute, cudaDataType_t scale,
                                      cudaDataType_t a, cudaDataType_t b, cudaDataType_t c, cudaDataType_t d, int id,
                                      cublasLtMatmulAlgo_t *algo)
{
    (void)compute;
    if (!alive(h, "a handle") || scale != CUDA_R_32F || a != b || c != d)
        return CUBLAS_STATUS_INVALID_VALUE;
    if (id != proposals[0].id)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    words_write(algo, &(config){.id = id, .split = 1});
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigGetAttribute(const cublasLtMatmulAlgo_t *algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t name, void *buf, size_t size,
                                                    size_t *written)
{
    algorithm words;
    size_t has;
    memcpy(&words, algo, sizeof words);
    const void *at = words.magic == ALGORITHM ? setting(&words.says, name, &has) : NULL;
    if (!at || size != has)
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(buf, at, size);
    *written = size;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoConfigSetAttribute(cublasLtMatmulAlgo_t *algo,
                                                    cublasLtMatmulAlgoConfigAttributes_t name, const void *buf,
                                                    size_t size)
{
    algorithm words;
    size_t has;
    memcpy(&words, algo, sizeof words);
    void *at = setting(&words.says, name, &has);
    if (!at || size != has || name == CUBLASLT_ALGO_CONFIG_ID)
        return CUBLAS_STATUS_INVALID_VALUE;
    memcpy(at, buf, size);
    memcpy(algo, &words, sizeof words);
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoCheck(cublasLtHandle_t h, cublasLtMatmulDesc_t o, cublasLtMatrixLayout_t a,
                                       cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                                       const cublasLtMatmulAlgo_t *algo, cublasLtMatmulHeuristicResult_t *result)
{
    (void)c;
    if (!alive(h, "a handle") || !alive(o, "an operation") ||
        !shapes_fit((const operation *)o, (const layout *)a, (const layout *)b, (const layout *)d))
        return CUBLAS_STATUS_INVALID_VALUE;
    if (proposal_of(algo) < 0)
        return CUBLAS_STATUS_NOT_SUPPORTED;
    result->workspaceSize = WORKSPACE;
    result->state = CUBLAS_STATUS_SUCCESS;
    return CUBLAS_STATUS_SUCCESS;
}

cublasStatus_t cublasLtMatmulAlgoGetHeuristic(cublasLtHandle_t h, cublasLtMatmulDesc_t o, cublasLtMatrixLayout_t a,
                                              cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c,
                                              cublasLtMatrixLayout_t d, cublasLtMatmulPreference_t p, int wanted,
                                              cublasLtMatmulHeuristicResult_t results[], int *found)
{
    (void)c;
    if (!alive(h, "a handle") || !alive(o, "an operation") || !alive(p, "a preference") || wanted < 1 ||
        !shapes_fit((const operation *)o, (const layout *)a, (const layout *)b, (const layout *)d))
        return CUBLAS_STATUS_INVALID_VALUE;
    int number = 0;
    for (*found = 0; number < PROPOSALS && *found < wanted; ++*found) {
        results[*found] = (cublasLtMatmulHeuristicResult_t){.workspaceSize = WORKSPACE};
        if (*found == FAILED) { /* its other members are not to be used */
            results[*found].state = CUBLAS_STATUS_NOT_SUPPORTED;
            continue;
        }
        words_write(&results[*found].algo, &proposals[number++]);
    }
    return CUBLAS_STATUS_SUCCESS;
}

/* The number of values from the first of a matrix to its last, including those between its columns. */
static size_t span(const layout *l)
{
    return (l->columns - 1) * (uint64_t)l->lead + l->rows;
}

static bool is_bf16(const layout *l)
{
    return l->type == CUDA_R_16BF;
}

static size_t bytes(const layout *l)
{
    return span(l) * (is_bf16(l) ? 2 : 4);
}

static float *matrix_read(const layout *l, const void *from)
{
    return emu_floats(emu_inside(from), is_bf16(l), span(l));
}

/* Writes column by column: the values between the columns do not belong to the matrix. */
static void matrix_write(const layout *l, void *to, const float *values)
{
    for (uint64_t column = 0; column < l->columns; column++) {
        uint64_t first = column * (uint64_t)l->lead;
        char *at = (char *)emu_inside(to) + first * (is_bf16(l) ? 2 : 4);
        emu_floats_store(at, is_bf16(l), values + first, l->rows);
    }
}

static void bias_add(const product *p, float *d)
{
    float *bias = emu_floats(emu_inside(p->op.bias), is_bf16(&p->d), p->d.rows);
    for (uint64_t column = 0; column < p->d.columns; column++)
        for (uint64_t row = 0; row < p->d.rows; row++) {
            float *at = &d[column * (uint64_t)p->d.lead + row], value = *at + bias[row];
            *at = p->op.epilogue == CUBLASLT_EPILOGUE_RELU_BIAS && value < 0 ? 0 : value;
        }
    free(bias);
}

/* Adds what is in D to the product, which is rounded to D's type before, as real algorithms do. */
static void result_add(const product *p, float *d)
{
    float *before = matrix_read(&p->d, p->dt);
    char *room = emu_new(bytes(&p->d));
    emu_floats_store(room, is_bf16(&p->d), d, span(&p->d));
    float *rounded = emu_floats(room, is_bf16(&p->d), span(&p->d));
    for (size_t i = 0; i < span(&p->d); i++)
        d[i] = rounded[i] + before[i];
    free(rounded);
    free(room);
    free(before);
}

static void product_work(void *data)
{
    const product *p = data;
    uint64_t k = p->op.a == CUBLAS_OP_T ? p->a.rows : p->a.columns;
    float *a = matrix_read(&p->a, p->at), *b = matrix_read(&p->b, p->bt), *d = emu_new(span(&p->d) * sizeof *d);
    /* emu_product is row-major. There a column-major matrix is its transpose, and D' = op(B)' op(A)'. */
    emu_product((emu_matrix){b, (int)p->b.lead, p->op.b == CUBLAS_OP_T},
                (emu_matrix){a, (int)p->a.lead, p->op.a == CUBLAS_OP_T}, (emu_matrix){d, (int)p->d.lead, false},
                (int)p->d.columns, (int)p->d.rows, (int)k - (p->flaw.fault == EMU_WRONG), p->split);
    if (p->beta != 0)
        result_add(p, d);
    if (p->op.epilogue != CUBLASLT_EPILOGUE_DEFAULT)
        bias_add(p, d);
    size_t value = is_bf16(&p->d) ? 2 : 4;
    char *last = (char *)emu_inside(p->dt) + (span(&p->d) - 1) * value;
    uint32_t kept;
    emu_flaw_before(&p->flaw, last, value, &kept);
    matrix_write(&p->d, p->dt, d);
    emu_flaw_after(&p->flaw, last, value, &kept);
    free(a);
    free(b);
    free(d);
}

cublasStatus_t cublasLtMatmul(cublasLtHandle_t h, cublasLtMatmulDesc_t o, const void *alpha, const void *A,
                              cublasLtMatrixLayout_t a, const void *B, cublasLtMatrixLayout_t b, const void *beta,
                              const void *C, cublasLtMatrixLayout_t c, void *D, cublasLtMatrixLayout_t d,
                              const cublasLtMatmulAlgo_t *algo, void *workspace, size_t size, cudaStream_t stream)
{
    if (!alive(h, "a handle") || !alive(o, "an operation") || !alive(a, "a layout") || !alive(b, "a layout") ||
        !alive(d, "a layout") || !shapes_fit((operation *)o, (layout *)a, (layout *)b, (layout *)d))
        return CUBLAS_STATUS_INVALID_VALUE;
    int number = proposal_of(algo);
    if (number >= 0 && emu_refuses(EMU_CUBLAS, number))
        return CUBLAS_STATUS_NOT_SUPPORTED;
    if (((handle *)h)->device != emu_current_device() || C != D || c != d || number < 0 || size < WORKSPACE ||
        *(const float *)alpha != 1 || (*(const float *)beta != 0 && *(const float *)beta != 1))
        emu_violation("cuBLASLt: a handle of another device, an unknown algorithm, too small a workspace, or a scale "
                      "unknown here");
    emu_task task = {.name = "cublasLtMatmul", .work = product_work};
    product *p = task.data = emu_new(sizeof *p);
    *p = (product){*(operation *)o,
                   *(layout *)a,
                   *(layout *)b,
                   *(layout *)d,
                   A,
                   B,
                   D,
                   *(const float *)beta,
                   number > 0,
                   emu_flaw_of(EMU_CUBLAS, number < 0 ? 0 : number)};
    task.cost = emu_cost_of(EMU_CUBLAS, number < 0 ? 0 : number);
    if (((uintptr_t)A | (uintptr_t)B | (uintptr_t)D) % 16)
        emu_violation("cuBLASLt: a matrix is not aligned to 16 bytes");
    emu_access_add(&task, A, bytes(&p->a), false, "A");
    emu_access_add(&task, B, bytes(&p->b), false, "B");
    emu_access_add(&task, D, bytes(&p->d), true, "D");
    if (p->op.epilogue != CUBLASLT_EPILOGUE_DEFAULT)
        emu_access_add(&task, p->op.bias, p->d.rows * (is_bf16(&p->d) ? 2 : 4), false, "the bias");
    emu_access_add(&task, workspace, size, true, "the workspace");
    return emu_submit(stream, &task) == cudaSuccess ? CUBLAS_STATUS_SUCCESS : CUBLAS_STATUS_EXECUTION_FAILED;
}
