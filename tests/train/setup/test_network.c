/* The table of networks as an-train's options show it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "model/nets/nets.h"
#include "tests/model/support.h"
#include "train/setup/network.h"

static void defaults(an_train_config *config)
{
    memset(config, 0, sizeof *config);
    assert_int_equal(an_options_init(an_train_recipe_spec(), config), AN_OK);
}

/* Another value for each option that any network reads. */
static const struct {
    const char *option, *value;
} changes[] = {{"activation", "tanh"},
               {"dropout", "0.25"},
               {"dropout-layers", "fc6"},
               {"lrn", "conv1"},
               {"lrn-alpha", "0.5"},
               {"pool", "2"},
               {"padding", "pad2"},
               {"columns", "one"},
               {"no-communication", "true"},
               {"lrn-k", "1"},
               {"lrn-before-activation", "conv1"},
               {"lrn-after-pool", "conv2"},
               {"without", "conv3"},
               {"init-deviations", "conv1=0.5"},
               {"init-bias", "0.1"}};
#define CHANGES (sizeof changes / sizeof *changes)

static bool same_network(const an_train_config *one, const an_train_config *two)
{
    an_graph a, b;
    assert_int_equal(an_network_build(one, 10, &a), AN_OK);
    assert_int_equal(an_network_build(two, 10, &b), AN_OK);
    return an_test_same_graph(&a, &b);
}

/* An option changes the network if and only if the network says that it reads it; otherwise there is a note. */
static void test_each_option_acts_or_is_named(void **state)
{
    (void)state;
    for (int i = 0; i < an_net_count(); i++)
        for (size_t k = 0; k < CHANGES; k++) {
            an_train_config usual, changed;
            an_buffer notes = {0};
            defaults(&usual);
            usual.network = i;
            usual.crop = an_net_at(i)->rules->defaults.crop;
            changed = usual;
            assert_int_equal(
                an_options_set(an_train_recipe_spec(), &changed, changes[k].option, changes[k].value, "test"), AN_OK);
            bool reads = an_net_reads(an_net_at(i), changes[k].option);
            assert_int_equal(same_network(&usual, &changed), !reads);
            assert_int_equal(an_network_idle_options(&changed, &notes), AN_OK);
            assert_int_equal(notes.size == 0, reads);
            an_buffer_free(&notes);
        }
}

static void test_every_option_of_a_network_is_tried(void **state)
{
    (void)state;
    for (int i = 0; i < an_net_count(); i++)
        for (const char *const *read = an_net_at(i)->rules->reads; *read; read++) {
            size_t k = 0;
            while (k < CHANGES && strcmp(changes[k].option, *read) != 0)
                k++;
            if (k == CHANGES)
                fail_msg("give --%s another value in this test", *read);
        }
}

/* --network takes the names of the table in its order, and the first one's defaults are the options' initial values. */
static void test_options_follow_the_table(void **state)
{
    (void)state;
    an_train_config config;
    an_graph graph, row;
    for (int i = 0; i < an_net_count(); i++) {
        defaults(&config);
        assert_int_equal(an_options_set(an_train_recipe_spec(), &config, "network", an_net_at(i)->name, "test"), AN_OK);
        assert_int_equal(config.network, i);
    }
    defaults(&config);
    assert_int_equal(config.network, 0);
    const an_net_rules *rules = an_net_at(0)->rules;
    assert_int_equal(an_network_build(&config, rules->defaults.classes, &graph), AN_OK);
    assert_int_equal(rules->build(&rules->defaults, &row), AN_OK);
    assert_true(an_test_same_graph(&graph, &row));
}

static void recipe_read(const char *name, an_train_config *config)
{
    static const an_options whole = {.program = "an-train", .options = an_train_options};
    char path[1024];
    snprintf(path, sizeof path, "%s/%s", AN_TEST_RECIPES, name);
    an_test_ok(an_options_init(&whole, config), name);
    an_test_ok(an_options_read_file(&whole, path, config), name);
}

/* Every recipe that is published is read, describes a network that can be built, and names nothing in vain. */
static void test_recipes(void **state)
{
    (void)state;
    int found = 0;
    DIR *folder = opendir(AN_TEST_RECIPES);
    assert_non_null(folder);
    for (const struct dirent *entry; (entry = readdir(folder));) {
        an_train_config config = {0};
        an_buffer notes = {0};
        an_graph graph;
        if (entry->d_name[0] == '.')
            continue;
        recipe_read(entry->d_name, &config);
        an_test_ok(an_train_config_check(&config), entry->d_name);
        an_test_ok(an_network_build(&config, 1000, &graph), entry->d_name);
        an_test_ok(an_network_idle_options(&config, &notes), entry->d_name);
        assert_int_equal(notes.size, 0);
        found++;
    }
    closedir(folder);
    assert_true(found >= 5);
}

static const an_node *node_named(const an_graph *graph, const char *name)
{
    for (int i = 0; i < graph->count; i++)
        if (!strcmp(graph->nodes[i].name, name))
            return &graph->nodes[i];
    return NULL;
}

/* What the authors' program and Caffe did otherwise than the paper says. */
static void test_recipes_of_other_programs(void **state)
{
    (void)state;
    an_train_config config = {0};
    an_graph graph;
    recipe_read("alexnet-authors", &config);
    an_test_ok(an_network_build(&config, 1000, &graph), "authors");
    assert_true(node_named(&graph, "conv3")->init_deviation == 0.03 &&
                node_named(&graph, "fc6")->init_deviation == 0.01);
    assert_int_equal(node_named(&graph, "conv1")->activation, AN_ACTIVATION_NONE);
    assert_int_equal(node_named(&graph, "activation1")->kind, AN_OP_ACTIVATION);
    recipe_read("alexnet-caffe", &config);
    an_test_ok(an_network_build(&config, 1000, &graph), "caffe");
    assert_true(node_named(&graph, "fc7")->init_deviation == 0.005 && node_named(&graph, "fc7")->init_bias == 0.1);
    assert_true(node_named(&graph, "conv3")->init_bias == 0 && node_named(&graph, "lrn2")->lrn_k == 1);
    assert_int_equal(node_named(&graph, "conv1")->height, 55);
    recipe_read("alexnet-large", &config);
    an_sgd sgd = an_network_sgd(&config, config.rate);
    assert_true(config.batch == 4096 && sgd.rate == 10 && sgd.trust == 0.001);
    assert_true(fabs(sgd.rate * sgd.bias_rate_scale - 0.05) < 1e-12); /* biases learn as with SGD */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_option_acts_or_is_named), cmocka_unit_test(test_every_option_of_a_network_is_tried),
        cmocka_unit_test(test_options_follow_the_table),     cmocka_unit_test(test_recipes),
        cmocka_unit_test(test_recipes_of_other_programs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
