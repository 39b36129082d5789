/* an-bench-io: the order of the measurements. */
#include "benchmarks/io/bench_io.h"

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/error.h"
#include "base/program/commit.h"
#include "base/program/fault.h"
#include "base/program/fonts.h"
#include "base/program/log.h"
#include "base/program/options.h"
#include "base/program/stop.h"
#include "base/program/streams.h"
#include "base/program/version.h"
#include "base/thread.h"
#include "store/dataset/dataset.h"
#include "tools/show/canvas/canvas.h"

static bool wants(const bench_config *config, bench_stage stage)
{
    return config->stage == BENCH_ALL || config->stage == (int)stage;
}

static int by_rate(const void *a, const void *b)
{
    double x = bench_rate(a), y = bench_rate(b);
    return (x > y) - (x < y);
}

/* The median round; the others' samples are freed. bench_full begins with its bench_result. */
static bench_full median_full(bench_full *rounds, int count)
{
    qsort(rounds, (size_t)count, sizeof *rounds, by_rate);
    for (int i = 0; i < count; i++)
        if (i != count / 2)
            free(rounds[i].samples);
    return rounds[count / 2];
}

static bench_result median(bench_result *rounds, int count)
{
    qsort(rounds, (size_t)count, sizeof *rounds, by_rate);
    return rounds[count / 2];
}

/* The stages of one round. */
typedef struct {
    bench_result read, decode, sample, memory;
    bench_full full[BENCH_THREADS_MAX], payload[BENCH_THREADS_MAX];
    bench_device device;
} bench_round;

static int measure_read(const bench_config *config, const an_dataset *dataset, bench_round *out)
{
    return wants(config, BENCH_READ) ? bench_run_read(config, dataset, 0, &out->read) : AN_OK;
}

/* The last of --threads. */
static int most_threads(const bench_config *config)
{
    return config->threads[config->thread_counts - 1];
}

static int measure_decode(const bench_config *config, const an_dataset *dataset, bench_round *out)
{
    if (!wants(config, BENCH_DECODE) || !bench_decodes_here(config))
        return AN_OK;
    int rc = bench_run_decode(config, dataset, most_threads(config), &out->decode);
    if (rc)
        return rc;
    return bench_run_sample(config, dataset, NULL, most_threads(config), &out->sample);
}

static int measure_memory(const bench_config *config, const an_dataset *dataset, bench_round *out)
{
    if (config->stage != BENCH_ALL || !bench_decodes_here(config))
        return AN_OK;
    return bench_run_memory(config, dataset, most_threads(config), &out->memory);
}

/* The loader with each number of threads. */
static int measure_loader(const bench_config *config, const an_dataset *dataset, an_decode_place decode,
                          bench_full out[BENCH_THREADS_MAX])
{
    for (int i = 0; i < config->thread_counts; i++) {
        if (config->cold)
            bench_drop_cache(dataset);
        int rc = bench_run_full(config, dataset, decode, config->threads[i], &out[i]);
        if (rc)
            return rc;
    }
    return AN_OK;
}

static int measure_full(const bench_config *config, const an_dataset *dataset, bench_round *out)
{
    int rc = AN_OK;
    if (!wants(config, BENCH_FULL))
        return AN_OK;
    if (bench_decodes_here(config))
        rc = measure_loader(config, dataset, AN_DECODE_HOST, out->full);
    if (!rc && bench_decodes_there(config))
        rc = measure_loader(config, dataset, AN_DECODE_DEVICE, out->payload);
    if (!rc && bench_decodes_there(config) && config->devices)
        rc = bench_run_device(config, dataset, most_threads(config), &out->device);
    return rc;
}

static int measure_round(const bench_config *config, const an_dataset *dataset, bench_round *out)
{
    if (config->cold)
        bench_drop_cache(dataset);
    int rc = measure_read(config, dataset, out);
    if (rc)
        return rc;
    rc = measure_decode(config, dataset, out);
    if (rc)
        return rc;
    rc = measure_memory(config, dataset, out);
    if (rc)
        return rc;
    return measure_full(config, dataset, out);
}

static void take_device(const bench_round *rounds, int count, bench_device *out)
{
    bench_result decode[BENCH_ROUNDS_MAX];
    bench_full full[BENCH_ROUNDS_MAX];
    for (int i = 0; i < count; i++) {
        decode[i] = rounds[i].device.decode;
        full[i] = rounds[i].device.full;
    }
    *out = (bench_device){
        .decode = median(decode, count), .full = median_full(full, count), .memory = rounds[0].device.memory};
}

static void take_medians(const bench_config *config, bench_round *rounds, bench_report *report)
{
    bench_result results[BENCH_ROUNDS_MAX];
    bench_full full[BENCH_ROUNDS_MAX];
    int n = config->rounds, loaders = wants(config, BENCH_FULL) ? config->thread_counts : 0;
    for (size_t stage = 0; stage < 4; stage++) {
        for (int i = 0; i < n; i++)
            results[i] = (&rounds[i].read)[stage];
        (&report->read)[stage] = median(results, n);
    }
    report->full_count = bench_decodes_here(config) ? loaders : 0;
    report->payload_count = bench_decodes_there(config) ? loaders : 0;
    for (int k = 0; k < report->full_count; k++) {
        for (int i = 0; i < n; i++)
            full[i] = rounds[i].full[k];
        report->full[k] = median_full(full, n);
    }
    for (int k = 0; k < report->payload_count; k++) {
        for (int i = 0; i < n; i++)
            full[i] = rounds[i].payload[k];
        report->payload[k] = median_full(full, n);
    }
    take_device(rounds, n, &report->device);
}

static int measure(const bench_config *config, const an_dataset *dataset, bench_report *report)
{
    int rc = AN_OK;
    bench_round *rounds = calloc((size_t)config->rounds, sizeof *rounds);
    if (!rounds)
        return an_error(AN_ENOMEM, "out of memory for %d rounds", config->rounds);
    for (int i = 0; !rc && i < config->rounds; i++)
        rc = measure_round(config, dataset, &rounds[i]);
    take_medians(config, rounds, report);
    free(rounds);
    if (rc || !bench_last(report))
        return rc;
    if (!report->full_count)
        return bench_judge_device(config, report);
    if (config->stage != BENCH_ALL)
        return AN_OK;
    return bench_judge(config, dataset, report);
}

static int check(bench_config *config, const an_dataset *dataset)
{
    const an_loader_options loader = bench_loader_options(config, dataset, 1);
    an_sampler *sampler;
    an_canvas_kind kind;
    int rc = bench_parse_threads(config);
    if (rc)
        return rc;
    rc = config->chart ? an_canvas_kind_of(config->chart, &kind) : AN_OK;
    if (rc)
        return an_error_prefix(rc, "--chart");
    if (config->devices && config->decode == AN_DECODE_HOST)
        return an_error(AN_EINVAL, "--devices %s decodes nothing with --decode host: leave one out", config->devices);
    if (config->epochs)
        config->warm_up = 0;
    rc = bench_decodes_there(config) && config->devices ? bench_check_device(config, dataset) : AN_OK;
    if (rc)
        return rc;
    rc = an_sampler_create(&sampler, &loader.sample, an_dataset_side(dataset), an_dataset_statistics(dataset));
    if (rc)
        return rc;
    an_sampler_free(sampler);
    return AN_OK;
}

static int measure_and_print(bench_config *config, const an_dataset *dataset, bench_report *report)
{
    int rc = check(config, dataset);
    if (rc)
        return rc;
    rc = measure(config, dataset, report);
    if (rc)
        return rc;
    rc = config->json ? bench_print_json(config, dataset, report) : bench_print_text(config, dataset, report);
    const bench_full *drawn = bench_last(report);
    return rc || !config->chart || !drawn ? rc : bench_write_chart(config->chart, drawn);
}

static int run(int argc, char **argv, bench_report *report)
{
    bench_config config = {0};
    char **arguments;
    an_dataset *dataset;
    int rc = an_options_init(&bench_options, &config);
    if (rc)
        return rc;
    rc = an_options_parse(&bench_options, argc, argv, &config, &arguments);
    if (rc)
        return rc;
    rc = an_stop_install();
    if (rc)
        return rc;
    an_stop_at_once(true);
    rc = an_dataset_open(&dataset, arguments[0]);
    if (rc)
        return rc;
    rc = measure_and_print(&config, dataset, report);
    an_dataset_free(dataset);
    return rc;
}

static an_version_libraries *const libraries[] = {an_dataset_libraries, NULL};

int main(int argc, char **argv)
{
    static bench_report report;
    int rc = an_streams_open();
    an_fonts_install();
    an_version_declare(AN_COMMIT, libraries);
    an_log_init("an-bench-io", AN_LOG_INFO);
    an_fault_install("an-bench-io");
    if (!rc)
        rc = run(argc, argv, &report);
    for (int i = 0; i < report.full_count; i++)
        free(report.full[i].samples);
    for (int i = 0; i < report.payload_count; i++)
        free(report.payload[i].samples);
    free(report.device.full.samples);
    if (rc < 0)
        an_log(AN_LOG_ERROR, "%s", an_error_message());
    if (fflush(stdout) && rc >= 0) {
        an_log(AN_LOG_ERROR, "cannot write to standard output");
        return AN_EXIT_FAILURE;
    }
    return an_error_exit_code(rc);
}
