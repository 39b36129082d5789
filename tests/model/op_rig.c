#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "op_rig.h"
#include "support.h"

static an_node source_node(const an_test_case *c)
{
    an_node node = {.name = "source", .input_count = 1, .channels = c->c};
    switch (c->source) {
    case FROM_DENSE:
        node.kind = AN_OP_DENSE;
        break;
    case FROM_HALVES:
        node = (an_node){.name = "source",
                         .input_count = 1,
                         .channels = c->c,
                         .kind = AN_OP_CONV,
                         .kernel = 3,
                         .stride = 1,
                         .pad_before = 1,
                         .pad_after = 1,
                         .groups = 2};
        break;
    default:
        node.kind = AN_OP_CONV;
        node.kernel = node.stride = 1;
    }
    return node;
}

static void graph_make(an_test_rig *r, const an_test_case *c)
{
    bool image = c->source == FROM_IMAGE;
    an_node input = {
        .name = "image", .kind = AN_OP_INPUT, .channels = image ? c->c : 32, .height = c->side, .width = c->side};
    an_node source = source_node(c), node = c->node;
    snprintf(node.name, sizeof node.name, "op");
    node.input_count = 1;
    memset(&r->graph, 0, sizeof r->graph);
    assert_int_equal(an_graph_add(&r->graph, &input), 0);
    if (!image)
        assert_int_equal(an_graph_add(&r->graph, &source), 1);
    node.inputs[0] = r->graph.count - 1;
    an_test_ok(an_graph_add(&r->graph, &node) - r->graph.count + 1, c->name);
    r->node = &r->graph.nodes[r->graph.count - 1];
    r->source_node = &r->graph.nodes[r->graph.count - 2];
    r->inputs = (size_t)c->n * (size_t)c->c * (size_t)c->side * (size_t)c->side;
    r->outputs = (size_t)c->n * (size_t)r->node->channels * (size_t)r->node->height * (size_t)r->node->width;
    r->weights = r->node->has_weights ? (size_t)r->node->channels * an_graph_node_inputs(&r->graph, r->node) : 0;
}

void an_test_rig_make(an_test_rig *r, const an_test_target *t, const an_test_case *c, bool training, bool accumulate)
{
    const an_backend_api *api = t->api;
    an_backend_options options = {.device = api->name,
                                  .batch = c->n,
                                  .threads = t->threads ? t->threads : 2,
                                  .training = training,
                                  .seed = 3,
                                  .top = t->top ? t->top : 5,
                                  .precision = t->precision,
                                  .choices = t->choices,
                                  .direct = t->direct,
                                  .label_smoothing = t->label_smoothing,
                                  .class_weights = t->class_weights,
                                  .winograd = t->winograd};
    graph_make(r, c);
    r->tolerance = fmax(t->tolerance, c->tolerance);
    r->api = api;
    r->batch = c->n;
    an_test_ok(api->open(&r->backend, &options), c->name);
    an_test_ok(api->op_create(&r->source, r->backend, &(an_op_spec){.rate_scale = 1, .node = &r->graph.nodes[0]}),
               c->name);
    if (c->source != FROM_IMAGE)
        an_test_ok(api->op_create(&r->source, r->backend,
                                  &(an_op_spec){.rate_scale = 1, .node = r->source_node, .inputs = {r->source}}),
                   c->name);
    an_op_spec spec = {
        .rate_scale = 1, .node = r->node, .inputs = {r->source}, .input_gradient = !c->first, .accumulate = accumulate};
    an_test_ok(api->op_create(&r->op, r->backend, &spec), c->name);
    an_test_ok(api->finish(r->backend), c->name);
}

void an_test_rig_weights(an_test_rig *r, const float *weight, const float *bias)
{
    if (!r->weights)
        return;
    an_test_ok(r->api->parameter_set(r->op, false, AN_PARAMETER_VALUE, weight), "weight");
    an_test_ok(r->api->parameter_set(r->op, true, AN_PARAMETER_VALUE, bias), "bias");
}
