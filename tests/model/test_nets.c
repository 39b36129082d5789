/* Every row of the table of networks. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "base/error.h"
#include "model/graph/lower.h"
#include "model/nets/nets.h"
#include "support.h"

static void test_rows_are_complete(void **state)
{
    (void)state;
    assert_true(an_net_count() >= 2);
    for (int i = 0; i < an_net_count(); i++) {
        const an_net *net = an_net_at(i);
        assert_int_equal(an_net_find(net->name), i); /* the name is nobody else's */
        assert_true(strlen(net->title) > 0 && strlen(net->help) > 0);
        for (const char *const *read = net->rules->reads; *read; read++)
            assert_true(an_net_reads(net, *read));
        assert_false(an_net_reads(net, "no-such-option"));
    }
    an_test_refused(an_net_find("lenet-5"), "no network 'lenet-5': there are 'alexnet'");
}

/* With its defaults each network is built, for one device and for two, and ends in a loss over its classes. */
static void test_defaults_are_built(void **state)
{
    (void)state;
    for (int i = 0; i < an_net_count(); i++) {
        const an_net_rules *rules = an_net_at(i)->rules;
        an_graph graph, lowered;
        an_test_ok(rules->build(&rules->defaults, &graph), an_net_at(i)->name);
        assert_int_equal(graph.classes, rules->defaults.classes);
        assert_int_equal(graph.input_side, rules->defaults.crop);
        assert_int_equal(graph.nodes[graph.count - 1].kind, AN_OP_LOSS);
        for (int devices = 1; devices <= AN_GRAPH_DEVICES; devices++) {
            an_test_ok(an_graph_lower(&graph, devices, &lowered), an_net_at(i)->name);
            assert_int_equal(an_graph_parameters(&lowered), an_graph_parameters(&graph));
        }
    }
}

static void test_impossible_options_are_refused(void **state)
{
    (void)state;
    for (int i = 0; i < an_net_count(); i++) {
        const an_net_rules *rules = an_net_at(i)->rules;
        an_graph graph;
        an_net_options options = rules->defaults;
        options.classes = 0;
        assert_int_equal(rules->build(&options, &graph), AN_EINVAL);
        options = rules->defaults;
        options.crop = 0;
        assert_int_equal(rules->build(&options, &graph), AN_EINVAL);
    }
}

static void test_alexnets_row_is_the_paper(void **state)
{
    (void)state;
    an_graph graph, paper;
    an_alexnet_options options = an_alexnet_defaults();
    const an_net_rules *rules = an_net_at(an_net_find("alexnet"))->rules;
    an_net_options own = rules->defaults;
    an_test_ok(an_alexnet_build(&options, &paper), "paper");
    an_test_ok(rules->build(&own, &graph), "row");
    assert_true(an_test_same_graph(&graph, &paper));
    own.lrn = "conv1,conv9";
    an_test_refused(rules->build(&own, &graph), "--lrn 'conv1,conv9': give layers out of conv1, conv2, conv5, or none");
    own.lrn = "none";
    own.dropout_layers = "conv1";
    an_test_refused(rules->build(&own, &graph), "--dropout-layers 'conv1'");
    own = rules->defaults;
    own.without = "conv3,conv1";
    an_test_refused(rules->build(&own, &graph),
                    "--without 'conv3,conv1': give layers out of conv2, conv3, conv4, conv5, fc6, fc7, or none");
}

/* A layer whose place is given is normalised, or left out. */
static void test_places_of_normalisation_are_checked(void **state)
{
    (void)state;
    an_graph graph;
    const an_net_rules *rules = an_net_at(an_net_find("alexnet"))->rules;
    an_net_options own = rules->defaults;
    own.lrn_after_pool = "conv2";
    own.lrn_before_activation = "conv1,conv5";
    an_test_refused(rules->build(&own, &graph), "conv5 is not normalised: name it in --lrn too");
    own.lrn_before_activation = "conv1";
    an_test_ok(rules->build(&own, &graph), "build");
    own.lrn = "conv1";
    an_test_refused(rules->build(&own, &graph), "--lrn-after-pool 'conv2'");
    own.without = "conv2";
    an_test_ok(rules->build(&own, &graph), "build");
}

static double deviation_of(const an_graph *graph, const char *name, int device)
{
    for (int i = 0; i < graph->count; i++)
        if (!strcmp(graph->nodes[i].name, name) && graph->nodes[i].device == device)
            return graph->nodes[i].init_deviation;
    return -1;
}

static void test_initial_deviations(void **state)
{
    (void)state;
    static const char *const bad[] = {"conv9=1", "conv3", "conv3=", "conv3=x", "conv3=-1", "conv3=nan", "conv3=1;",
                                      "=1",      "",      ",",      "pool1=1", "conv3=1,", "fc8 =1"};
    an_graph graph;
    const an_net_rules *rules = an_net_at(an_net_find("alexnet"))->rules;
    an_net_options own = rules->defaults;
    own.init_deviations = "conv3=0.03,fc8=0";
    an_test_ok(rules->build(&own, &graph), "build");
    assert_true(deviation_of(&graph, "conv3", 0) == 0.03 && deviation_of(&graph, "conv3", 1) == 0.03);
    assert_true(deviation_of(&graph, "fc8", 0) == 0 && deviation_of(&graph, "conv4", 0) == 0.01);
    own.without = "conv4,conv3";
    an_test_ok(rules->build(&own, &graph), "build");
    own.without = "conv4";
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        own.init_deviations = bad[i];
        an_test_refused(rules->build(&own, &graph), "layers out of conv1, conv2, conv3, conv5, fc6, fc7, fc8");
    }
}

/* 61,100,840 parameters, as torchvision says of it. */
static void test_torchvisions_network(void **state)
{
    (void)state;
    an_graph graph;
    const an_net_rules *rules = an_net_at(an_net_find("torchvision"))->rules;
    an_net_options own = rules->defaults;
    an_test_ok(rules->build(&own, &graph), "build");
    assert_int_equal(an_graph_parameters(&graph), 61100840);
    assert_string_equal(graph.nodes[9].name, "dropout5");
    assert_int_equal(graph.nodes[9].height, 6);
    own.dropout = 0;
    an_test_ok(rules->build(&own, &graph), "build");
    for (int i = 0; i < graph.count; i++)
        assert_int_not_equal(graph.nodes[i].kind, AN_OP_DROPOUT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rows_are_complete),
        cmocka_unit_test(test_defaults_are_built),
        cmocka_unit_test(test_impossible_options_are_refused),
        cmocka_unit_test(test_alexnets_row_is_the_paper),
        cmocka_unit_test(test_places_of_normalisation_are_checked),
        cmocka_unit_test(test_initial_deviations),
        cmocka_unit_test(test_torchvisions_network),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
