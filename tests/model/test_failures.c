/* Each operation of the CPU backend is prepared again and again, each time with another allocation failing: the failure
 * is reported, and closing the backend gives back every object of oneDNN. The linker lets this file stand between the
 * backend and the functions that it wraps. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "model/cpu/onednn.h"
#include "op_rig.h"
#include "support.h"

static int allocations_left;                   /* until one fails; below 0: none does */
static int descriptions, primitives, memories; /* that are not destroyed yet */

int __real_an_pages_alloc(void **out, size_t size);
int __wrap_an_pages_alloc(void **out, size_t size);
int __wrap_an_pages_alloc(void **out, size_t size)
{
    if (allocations_left >= 0 && allocations_left-- == 0)
        return an_error(AN_ENOMEM, "planted: out of memory");
    return __real_an_pages_alloc(out, size);
}

/* A function of oneDNN that makes an object into its first argument, or destroys one, counted. */
#define MADE(count, name, parameters, arguments)                                                                       \
    dnnl_status_t __real_##name parameters;                                                                            \
    dnnl_status_t __wrap_##name parameters;                                                                            \
    dnnl_status_t __wrap_##name parameters                                                                             \
    {                                                                                                                  \
        dnnl_status_t status = __real_##name arguments;                                                                \
        (count) += status == dnnl_success;                                                                             \
        return status;                                                                                                 \
    }
#define DESTROYED(count, name, type)                                                                                   \
    dnnl_status_t __real_##name(type object);                                                                          \
    dnnl_status_t __wrap_##name(type object);                                                                          \
    dnnl_status_t __wrap_##name(type object)                                                                           \
    {                                                                                                                  \
        (count) -= object != NULL;                                                                                     \
        return __real_##name(object);                                                                                  \
    }

#define DESCRIBED(kind)                                                                                                \
    MADE(descriptions, an_onednn_##kind##_make,                                                                        \
         (dnnl_primitive_desc_t * out, const an_onednn_pass *pass, const an_onednn_##kind *what), (out, pass, what))

DESCRIBED(conv)
DESCRIBED(dense)
DESCRIBED(pool)
DESCRIBED(lrn)
MADE(descriptions, an_onednn_eltwise_make,
     (dnnl_primitive_desc_t * out, const an_onednn_pass *pass, dnnl_alg_kind_t algorithm, const an_desc *order),
     (out, pass, algorithm, order))
MADE(descriptions, an_onednn_concat_make,
     (dnnl_primitive_desc_t * out, dnnl_engine_t engine, int count, const an_desc *sources),
     (out, engine, count, sources))
MADE(descriptions, an_onednn_reorder_make,
     (dnnl_primitive_desc_t * out, dnnl_engine_t engine, const an_desc *from, const an_desc *to,
      const_dnnl_primitive_attr_t attr),
     (out, engine, from, to, attr))
MADE(descriptions, dnnl_primitive_desc_clone, (dnnl_primitive_desc_t * out, const_dnnl_primitive_desc_t existing),
     (out, existing))
DESTROYED(descriptions, dnnl_primitive_desc_destroy, dnnl_primitive_desc_t)
MADE(primitives, dnnl_primitive_create, (dnnl_primitive_t * out, const_dnnl_primitive_desc_t desc), (out, desc))
DESTROYED(primitives, dnnl_primitive_destroy, dnnl_primitive_t)
MADE(memories, an_onednn_memory, (dnnl_memory_t * out, const an_desc *desc, dnnl_engine_t engine, void *data),
     (out, desc, engine, data))
DESTROYED(memories, dnnl_memory_destroy, dnnl_memory_t)

/* Image, convolution, then the node; a join also has a second source. */
static void graph_make(an_graph *graph, an_op_kind kind, int groups)
{
    an_node nodes[] = {
        {.name = "image", .kind = AN_OP_INPUT, .channels = 3, .height = 6, .width = 6},
        {.name = "conv", .kind = AN_OP_CONV, .channels = 32, .kernel = 3, .stride = 1, .input_count = 1},
        {.name = "dense", .kind = AN_OP_DENSE, .channels = 8, .input_count = 1, .inputs = {1}},
        {.name = "node",
         .kind = kind,
         .input_count = kind == AN_OP_JOIN ? 2 : 1,
         .inputs = {kind == AN_OP_DROPOUT || kind == AN_OP_LOSS ? 2 : 1, 1},
         .channels = 32,
         .groups = groups,
         .kernel = 3,
         .stride = 1,
         .pad_before = 1,
         .pad_after = 1,
         .activation = AN_ACTIVATION_RELU,
         .lrn_size = 5,
         .lrn_alpha = 1,
         .lrn_beta = 0.6,
         .lrn_k = 2,
         .dropout = 0.5},
    };
    memset(graph, 0, sizeof *graph);
    for (int i = 0; i < 4; i++)
        assert_int_equal(an_graph_add(graph, &nodes[i]), i);
}

/* Makes the ops of the graph; the number-th allocation fails. */
static int ops_try(const an_graph *graph, an_precision precision, int number)
{
    an_backend *backend = NULL;
    an_op *ops[4] = {NULL};
    an_backend_options options = {.device = "cpu", .batch = 2, .threads = 1, .training = true, .precision = precision};
    int rc = an_backend_cpu.open(&backend, &options);
    an_test_ok(rc, "open");
    allocations_left = number;
    for (int i = 0; i < graph->count && !rc; i++) {
        const an_node *node = &graph->nodes[i];
        an_op_spec spec = {.rate_scale = 1, .node = node, .input_gradient = i > 1, .accumulate = true};
        for (int k = 0; k < node->input_count; k++)
            spec.inputs[k] = ops[node->inputs[k]];
        rc = an_backend_cpu.op_create(&ops[i], backend, &spec);
    }
    if (!rc)
        rc = an_backend_cpu.finish(backend);
    allocations_left = -1;
    an_backend_cpu.close(backend);
    return rc;
}

static void check_kind(an_op_kind kind, int groups, an_precision precision)
{
    an_graph graph;
    int rc = AN_ENOMEM;
    graph_make(&graph, kind, groups);
    for (int number = 0; rc; number++) {
        rc = ops_try(&graph, precision, number);
        assert_true(!rc || rc == AN_ENOMEM);
        assert_int_equal(descriptions, 0);
        assert_int_equal(primitives, 0);
        assert_int_equal(memories, 0);
    }
}

static void test_nothing_is_left_after_a_failure(void **state)
{
    (void)state;
    static const an_precision precisions[] = {AN_PRECISION_F32, AN_PRECISION_BF16};
    for (size_t p = 0; p < sizeof precisions / sizeof *precisions; p++) {
        an_backend *backend = NULL;
        an_backend_options options = {.device = "cpu", .batch = 1, .threads = 1, .precision = precisions[p]};
        if (an_backend_cpu.open(&backend, &options))
            continue; /* a processor without bf16 */
        an_backend_cpu.close(backend);
        for (int kind = AN_OP_CONV; kind < AN_OP_KINDS; kind++)
            for (int groups = 1; groups <= (kind == AN_OP_CONV || kind == AN_OP_LRN ? 2 : 1); groups++)
                check_kind((an_op_kind)kind, groups, precisions[p]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nothing_is_left_after_a_failure),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
