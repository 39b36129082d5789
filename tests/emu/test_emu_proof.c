/* Kernels that the libraries offer and that are wrong, as real ones have been: each is found before it is used, told
 * once with its name, and networks compute as on the CPU without it. And choices of kernels that last: found again
 * although the words of algorithms change, and told where they no longer hold. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "small_net.h"
#include "support.h"
#include "tests/emu/emulator/emu.h"
#include "tests/emu/runner.h"

#define CUDNN_FIRST 1 /* the numbers of cuDNN's proposals that suit: engine 8; engine 10 with two settings */
#define CUDNN_SECOND 3
#define CUDNN_THIRD 4
#define PROPOSALS 5

static an_buffer notes, remarks;

/* Makes the faulty proposal by far the fastest. */
static void fault_plant(emu_library library, int proposal, emu_fault fault)
{
    for (int i = 0; i < PROPOSALS; i++)
        emu_cost(library, i, i == proposal ? 0 : 1000000);
    emu_fault_set(library, proposal, fault);
}

static void faults_clear(void)
{
    for (emu_library library = EMU_CUDNN; library <= EMU_CUBLAS; library++)
        for (int i = 0; i < PROPOSALS; i++) {
            emu_cost(library, i, 0);
            emu_fault_set(library, i, EMU_SOUND);
        }
}

static int clean(void **state)
{
    (void)state;
    faults_clear();
    emu_leftovers_set(0);
    an_buffer_free(&notes);
    an_buffer_free(&remarks);
    runner_notes = &notes;
    return 0;
}

/* How often the notes say this. */
static int noted(const char *text)
{
    int count = 0;
    for (const char *at = (const char *)notes.data; at && (at = strstr(at, text)); at++)
        count++;
    return count;
}

static void notes_forget(void)
{
    an_buffer_free(&notes);
}

/* Each line of the notes once. */
static void told_once(void)
{
    char *text = notes.data ? strdup((const char *)notes.data) : NULL;
    for (char *rest = text, *line; rest && (line = strsep(&rest, "\n"));)
        if (*line && noted(line) != 1)
            fail_msg("told %d times: %s", noted(line), line);
    free(text);
}

/* One image, a convolution with padding that may differ behind, and a loss. */
static void net_make(an_graph *graph, int before, int after, int groups)
{
    an_node image = {.name = "input", .kind = AN_OP_INPUT, .channels = 3, .height = SMALL_SIDE, .width = SMALL_SIDE};
    an_node first = {.name = "conv1",
                     .kind = AN_OP_CONV,
                     .input_count = 1,
                     .channels = 16,
                     .kernel = 5,
                     .stride = 2,
                     .pad_before = before,
                     .pad_after = after,
                     .groups = 1,
                     .activation = AN_ACTIVATION_RELU};
    an_node second = {.name = "conv2",
                      .kind = AN_OP_CONV,
                      .input_count = 1,
                      .channels = 16,
                      .kernel = 3,
                      .stride = 1,
                      .pad_before = 1,
                      .pad_after = 1,
                      .groups = groups,
                      .activation = AN_ACTIVATION_RELU};
    an_node logits = {.name = "fc", .kind = AN_OP_DENSE, .input_count = 1, .channels = SMALL_CLASSES};
    an_node loss = {.name = "loss", .kind = AN_OP_LOSS, .input_count = 1};
    *graph = (an_graph){.input_side = SMALL_SIDE};
    first.inputs[0] = an_graph_add(graph, &image);
    second.inputs[0] = an_graph_add(graph, &first);
    logits.inputs[0] = an_graph_add(graph, &second);
    loss.inputs[0] = an_graph_add(graph, &logits);
    assert_true(an_graph_add(graph, &loss) > 0);
}

static double tolerance_of(an_precision precision)
{
    return precision == AN_PRECISION_BF16 ? 0.03 : 1e-4;
}

/* Losses as on the CPU, and without bf16's roundings weights too. */
static void matches_the_cpu(const an_graph *graph, const char *devices, an_precision precision, an_choices *choices)
{
    runner cpu, gpu;
    an_precision rounded = precision == AN_PRECISION_BF16 ? precision : AN_PRECISION_F32;
    runner_make(&cpu, graph, "cpu", rounded, false);
    runner_make_with(&gpu, graph, devices, precision, false, choices);
    for (uint64_t step = 0; step < 3; step++) {
        double expected = runner_step(&cpu, step, BATCH), got = runner_step(&gpu, step, BATCH);
        if (fabs(got - expected) > tolerance_of(precision) * (fabs(expected) + 0.1))
            fail_msg("%s, step %d: loss %.7g, expected %.7g", devices, (int)step, got, expected);
    }
    if (precision != AN_PRECISION_BF16)
        runner_compare(cpu.exec, gpu.exec, 1e-3);
    runner_free(&cpu);
    runner_free(&gpu);
    runner_no_violations();
}

/* The faulty kernel is found whether kernels are measured or the heuristic's first is taken, and the choices do not
 * name it for the operations in question. what: a part of the key of those; name: the kernel's. */
static void check_found(const an_graph *graph, const char *what, const char *name, const char *why)
{
    for (an_precision precision = AN_PRECISION_F32; precision <= AN_PRECISION_TF32; precision++) {
        an_choices choices = {0};
        notes_forget();
        matches_the_cpu(graph, "cuda:0", precision, &choices);
        assert_true(noted(why) > 0 && noted(name) > 0 && noted(what) > 0);
        assert_true(choices.count > 0);
        for (size_t i = 0; i < choices.count; i++)
            if (strstr(choices.items[i].key, what))
                assert_string_not_equal(choices.items[i].name, name);
        told_once();
        notes_forget();
        matches_the_cpu(graph, "cuda:0", precision, NULL);
        assert_true(noted(why) > 0 && noted(name) > 0 && noted(what) > 0);
        an_choices_free(&choices);
    }
}

/* Unequal padding lies in memory and is not the library's, so such an engine is right in all that it is asked for. */
static void test_an_engine_wrong_under_unequal_padding(void **state)
{
    (void)state;
    an_graph graph;
    net_make(&graph, 1, 2, 1);
    fault_plant(EMU_CUDNN, CUDNN_FIRST, EMU_WRONG_PADDED);
    for (an_precision precision = AN_PRECISION_F32; precision <= AN_PRECISION_TF32; precision++) {
        an_choices choices = {0};
        matches_the_cpu(&graph, "cuda:0", precision, &choices);
        matches_the_cpu(&graph, "cuda:0", precision, NULL);
        assert_string_equal(choices.items[0].name, "8");
        an_choices_free(&choices);
    }
    assert_int_equal(notes.size, 0);
}

static void test_an_engine_wrong_for_groups(void **state)
{
    (void)state;
    an_graph graph;
    net_make(&graph, 2, 2, 2);
    fault_plant(EMU_CUDNN, CUDNN_FIRST, EMU_WRONG_GROUPED);
    check_found(&graph, "2 groups", "8", "values of its result are wrong");
    assert_int_equal(noted("1 group"), 0);
}

static void test_an_engine_that_leaves_out_a_product(void **state)
{
    (void)state;
    an_graph graph;
    net_make(&graph, 2, 2, 1); /* in groups, measuring tries more operations than the heuristic's favourites */
    fault_plant(EMU_CUDNN, CUDNN_FIRST, EMU_WRONG);
    check_found(&graph, "convolution", "8", "values of its result are wrong");
}

static void test_an_engine_that_is_not_deterministic(void **state)
{
    (void)state;
    an_graph graph;
    net_make(&graph, 1, 1, 1);
    fault_plant(EMU_CUDNN, CUDNN_FIRST, EMU_UNSTEADY);
    check_found(&graph, "convolution", "8", "its result is not the same twice");
}

static void test_an_engine_that_leaves_a_value_out(void **state)
{
    (void)state;
    an_graph graph;
    net_make(&graph, 1, 1, 1);
    fault_plant(EMU_CUDNN, CUDNN_FIRST, EMU_UNWRITTEN);
    check_found(&graph, "convolution", "8", "1 values of its result are missing or infinite");
}

static void test_a_wrong_algorithm(void **state)
{
    (void)state;
    static const emu_fault faults[] = {EMU_WRONG, EMU_UNSTEADY};
    static const char *const why[] = {"are wrong", "is not the same twice"};
    an_graph graph;
    net_make(&graph, 1, 1, 1);
    for (int i = 0; i < 2; i++) {
        fault_plant(EMU_CUBLAS, 0, faults[i]);
        check_found(&graph, "product", "10 1=15 2=1 3=0 4=0 5=0 6=8 7=0 8=2", why[i]);
    }
}

/* All faults at once, on one device and on two, for a network that has every kind of layer. */
static void test_trainings_match_with_every_fault(void **state)
{
    (void)state;
    static const emu_fault faults[] = {EMU_WRONG_PADDED, EMU_WRONG_GROUPED, EMU_WRONG, EMU_UNSTEADY};
    an_graph graph;
    an_small_net(&graph, AN_ACTIVATION_RELU);
    for (int i = 0; i < 4; i++) {
        an_choices choices = {0};
        fault_plant(EMU_CUDNN, CUDNN_FIRST, faults[i]);
        fault_plant(EMU_CUDNN, CUDNN_THIRD, faults[(i + 1) % 4]);
        fault_plant(EMU_CUBLAS, i % 3, i % 2 ? EMU_WRONG : EMU_UNSTEADY);
        for (an_precision precision = AN_PRECISION_F32; precision <= AN_PRECISION_TF32; precision++)
            matches_the_cpu(&graph, i % 2 ? "cuda:0" : "cuda:0,cuda:1", precision, &choices);
        told_once();
        an_choices_free(&choices);
        faults_clear();
    }
}

static int create(const an_graph *graph, an_choices *choices)
{
    an_exec *exec = NULL;
    an_exec_options options = {.devices = "cuda:0",
                               .batch = BATCH,
                               .threads = 1,
                               .training = true,
                               .choices = choices,
                               .notes = &notes,
                               .remarks = &remarks};
    int rc = an_exec_create(&exec, graph, &options);
    an_exec_free(exec);
    return rc;
}

/* A kernel that sums with fewer bits than asked for is not wrong: it is passed over without a warning. */
static void test_an_engine_that_sums_less_exactly(void **state)
{
    (void)state;
    an_graph graph;
    an_choices choices = {0};
    net_make(&graph, 1, 1, 1);
    fault_plant(EMU_CUDNN, CUDNN_FIRST, EMU_COARSE);
    assert_int_equal(create(&graph, &choices), AN_OK);
    assert_int_equal(notes.size, 0);
    assert_int_equal(an_buffer_append(&remarks, "", 1), AN_OK);
    assert_non_null(strstr((char *)remarks.data,
                           "cuDNN's kernel '8' sums less exactly than asked for, so it is not used "
                           "for a f32 convolution's forward, "));
    for (size_t i = 0; i < choices.count; i++)
        if (strstr(choices.items[i].key, "convolution"))
            assert_string_not_equal(choices.items[i].name, "8");
    an_choices_free(&choices);
    runner_no_violations();
}

/* Ten times as slow: one run shows it if it takes long. Without that, each would run nine times. */
static void test_slow_kernels_are_not_measured_further(void **state)
{
    (void)state;
    an_graph graph;
    an_choices choices = {0};
    net_make(&graph, 1, 1, 1);
    for (emu_library library = EMU_CUDNN; library <= EMU_CUBLAS; library++)
        for (int i = 0; i < PROPOSALS; i++)
            emu_cost(library, i, i == (library == EMU_CUDNN ? CUDNN_FIRST : 0) ? 20000 : 200000);
    uint64_t before = emu_count().timings;
    assert_int_equal(create(&graph, &choices), AN_OK);
    assert_true(choices.count > 3);
    assert_true(emu_count().timings - before <= choices.count * (2 + 7 + PROPOSALS));
    an_choices_free(&choices);
    runner_no_violations();
}

/* If nothing is right, the error names the operation and what to do. */
static void test_nothing_is_used_if_all_are_wrong(void **state)
{
    (void)state;
    an_graph graph;
    an_choices choices = {0};
    net_make(&graph, 1, 1, 1);
    for (int i = 0; i < PROPOSALS; i++)
        emu_fault_set(EMU_CUDNN, i, EMU_WRONG);
    assert_int_equal(create(&graph, NULL), AN_EUNSUPPORTED);
    assert_non_null(strstr(an_error_message(), "conv1: no kernel that cuDNN offers for a f32 convolution's forward, "));
    assert_non_null(strstr(an_error_message(), "take another --precision or --batch, or another version of cuDNN"));
    assert_non_null(strstr(an_error_message(), "tried; the first, '8': "));
    assert_non_null(strstr(an_error_message(), "values of its result are wrong, by up to"));
    assert_int_equal(create(&graph, &choices), AN_EUNSUPPORTED);
    assert_int_equal(choices.count, 0);
    faults_clear();
    for (int i = 0; i < PROPOSALS; i++)
        emu_fault_set(EMU_CUBLAS, i, EMU_UNWRITTEN);
    assert_int_equal(create(&graph, NULL), AN_EUNSUPPORTED);
    assert_non_null(strstr(an_error_message(), "fc's f32 product of"));
    assert_non_null(strstr(an_error_message(), "another version of cuBLASLt"));
    assert_non_null(strstr(an_error_message(), "values of its result are missing or infinite"));
    emu_refuse(EMU_CUBLAS, 0);
    assert_int_equal(create(&graph, NULL), AN_EUNSUPPORTED);
    emu_refuse(EMU_CUBLAS, -1);
    assert_non_null(strstr(an_error_message(), "': it does not run: "));
    an_choices_free(&choices);
    runner_no_violations();
}

/* A choice that was kept is compared again: another driver or a damaged device may compute otherwise. */
static void test_a_kept_choice_is_compared_again(void **state)
{
    (void)state;
    an_graph graph;
    an_choices choices = {0};
    net_make(&graph, 1, 1, 1);
    fault_plant(EMU_CUDNN, CUDNN_FIRST, EMU_SOUND);
    assert_int_equal(create(&graph, &choices), AN_OK);
    assert_string_equal(choices.items[0].name, "8");
    assert_int_equal(notes.size, 0);
    emu_fault_set(EMU_CUDNN, CUDNN_FIRST, EMU_WRONG);
    assert_int_equal(create(&graph, &choices), AN_OK);
    assert_true(noted("cuDNN's kernel '8', which was chosen before for a f32 convolution's forward, ") > 0);
    assert_true(noted("can no longer be used: another is chosen now, which can change the last bits of results") > 0);
    assert_string_not_equal(choices.items[0].name, "8");
    told_once();
    an_choices_free(&choices);
    runner_no_violations();
}

static uint64_t times_read(const an_graph *graph, an_choices *choices)
{
    uint64_t before = emu_count().timings;
    assert_int_equal(create(graph, choices), AN_OK);
    return emu_count().timings - before;
}

/* The words of algorithms hold other leftover bits in each process. Every algorithm is found again nevertheless, also
 * one that the library only proposes and does not make by its number. */
static void test_leftover_bits_do_not_matter(void **state)
{
    (void)state;
    an_graph graph;
    net_make(&graph, 1, 1, 1);
    for (int fastest = 0; fastest < 3; fastest++) {
        an_choices choices = {0};
        runner one, two;
        fault_plant(EMU_CUBLAS, fastest, EMU_SOUND);
        emu_leftovers_set(0x1fc343d3);
        runner_make_with(&one, &graph, "cuda:0", AN_PRECISION_F32, false, &choices);
        emu_leftovers_set(0x40000001);
        assert_int_equal(times_read(&graph, &choices), 0);
        fault_plant(EMU_CUBLAS, (fastest + 1) % 3, EMU_SOUND); /* a new measurement would choose otherwise */
        runner_make_with(&two, &graph, "cuda:0", AN_PRECISION_F32, false, &choices);
        for (uint64_t step = 0; step < 3; step++)
            assert_true(runner_step(&one, step, BATCH) == runner_step(&two, step, BATCH));
        runner_compare(one.exec, two.exec, 0);
        runner_free(&one);
        runner_free(&two);
        an_choices_free(&choices);
    }
    assert_int_equal(notes.size, 0);
    runner_no_violations();
}

/* Gives all choices for products, or for convolutions, that name. */
static void rename_all(an_choices *choices, const char *what, const char *name)
{
    for (size_t i = 0; i < choices->count; i++)
        if (strstr(choices->items[i].key, what)) {
            free(choices->items[i].name);
            choices->items[i].name = strdup(name);
            assert_non_null(choices->items[i].name);
        }
}

static void check_product_names(const an_choices *choices, const char *name)
{
    for (size_t i = 0; i < choices->count; i++)
        if (strstr(choices->items[i].key, "product"))
            assert_string_equal(choices->items[i].name, name);
}

/* Earlier versions wrote an algorithm down as words. They are taken for what they mean; nothing is measured. */
static void test_words_of_earlier_versions_are_read(void **state)
{
    (void)state;
    /* magic and leftover bits; number 10, no split; tile 20, 8 stages; cluster 2 */
    static const char words[] = "1fc343d3414e414c.10000000a.800000014.0.2000000000000.0.7.0";
    an_graph graph;
    an_choices choices = {0};
    net_make(&graph, 1, 1, 1);
    fault_plant(EMU_CUBLAS, 0, EMU_SOUND);
    assert_int_equal(create(&graph, &choices), AN_OK);
    check_product_names(&choices, "10 1=15 2=1 3=0 4=0 5=0 6=8 7=0 8=2");
    rename_all(&choices, "product", words);
    assert_int_equal(times_read(&graph, &choices), 0);
    assert_int_equal(notes.size, 0);
    check_product_names(&choices, words); /* a choice is changed only where it no longer holds */
    an_choices_free(&choices);
    runner_no_violations();
}

/* Choices that nothing can be made of are told, and made again. */
static void test_a_choice_that_is_gone_is_told(void **state)
{
    (void)state;
    static const char *const gone[] = {
        "4711", "10 1=4711 2=1 3=0 4=0 5=0 6=8 7=0 8=2", "10 1=15 99=1",  "10 1=15 2=1 3=0 4=0 5=0 6=8 7=0 8=2 ",
        "10",   "1fc3400000001.0.0.0.0.0.0.0",           "something else"};
    an_graph graph;
    an_choices choices = {0};
    net_make(&graph, 1, 1, 1);
    fault_plant(EMU_CUBLAS, 0, EMU_SOUND);
    assert_int_equal(create(&graph, &choices), AN_OK);
    for (size_t i = 0; i < sizeof gone / sizeof *gone; i++) {
        char text[128];
        notes_forget();
        rename_all(&choices, "product", gone[i]);
        assert_true(times_read(&graph, &choices) > 0);
        snprintf(text, sizeof text, "cuBLASLt's kernel '%s', which was chosen before for a f32 product of ", gone[i]);
        assert_true(noted(text) > 0);
        check_product_names(&choices, "10 1=15 2=1 3=0 4=0 5=0 6=8 7=0 8=2");
    }
    notes_forget();
    rename_all(&choices, "convolution", "9");
    assert_true(times_read(&graph, &choices) > 0);
    assert_true(noted("cuDNN's kernel '9', which was chosen before for a f32 convolution's weight gradient, ") > 0);
    an_choices_free(&choices);
    runner_no_violations();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(test_an_engine_wrong_under_unequal_padding, clean),
        cmocka_unit_test_setup(test_an_engine_wrong_for_groups, clean),
        cmocka_unit_test_setup(test_an_engine_that_leaves_out_a_product, clean),
        cmocka_unit_test_setup(test_an_engine_that_is_not_deterministic, clean),
        cmocka_unit_test_setup(test_an_engine_that_leaves_a_value_out, clean),
        cmocka_unit_test_setup(test_a_wrong_algorithm, clean),
        cmocka_unit_test_setup(test_trainings_match_with_every_fault, clean),
        cmocka_unit_test_setup(test_an_engine_that_sums_less_exactly, clean),
        cmocka_unit_test_setup(test_slow_kernels_are_not_measured_further, clean),
        cmocka_unit_test_setup(test_nothing_is_used_if_all_are_wrong, clean),
        cmocka_unit_test_setup(test_a_kept_choice_is_compared_again, clean),
        cmocka_unit_test_setup(test_leftover_bits_do_not_matter, clean),
        cmocka_unit_test_setup(test_words_of_earlier_versions_are_read, clean),
        cmocka_unit_test_setup(test_a_choice_that_is_gone_is_told, clean),
    };
    (void)emu_violations(NULL, 0); /* from now on collected, and asked for by each test */
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    an_buffer_free(&notes);
    return failed;
}
