/* The verdict: which stage is the limit, found by comparing the loader with each stage measured alone in the same run,
 * and the change that would help most. A stage is a row of the table below. */
#include <stdio.h>

#include "base/buffer.h"
#include "base/error.h"
#include "benchmarks/io/bench_io.h"

#define STARVED 0.01 /* less waiting than this: the consumer is the limit */
#define NEAR 0.85    /* a stage is the limit if the loader reaches this much of it */
#define WORTH 1.05   /* gain below which a change is not worth naming */

typedef struct {
    const char *name;
    bool (*binds)(const bench_report *report, const bench_full *full);
    /* Find what would help, into report->verdict; NULL: nothing that this program can propose. */
    int (*remedy)(const bench_config *config, const an_dataset *dataset, bench_report *report);
} stage;

static bool never_starved(const bench_report *report, const bench_full *full)
{
    (void)report;
    return full->starved < STARVED;
}

static bool reading_binds(const bench_report *report, const bench_full *full)
{
    double read = bench_rate(&report->read);
    return read < bench_rate(&report->sample) && bench_rate(&full->result) > NEAR * read;
}

static bool reading_thread_binds(const bench_report *report, const bench_full *full)
{
    return reading_binds(report, full) && report->read.cpu_seconds > 0.9 * report->read.seconds;
}

static bool memory_binds(const bench_report *report, const bench_full *full)
{
    return bench_rate(&full->result) > NEAR * bench_rate(&report->memory);
}

static bool augmenting_binds(const bench_report *report, const bench_full *full)
{
    double decode = bench_cpu_cost(&report->decode), sample = bench_cpu_cost(&report->sample);
    (void)full;
    return sample - decode > decode;
}

static bool otherwise(const bench_report *report, const bench_full *full)
{
    (void)report, (void)full;
    return true;
}

/* The first that binds is the limit. */
static const stage stages[] = {
    /* The loader delivers as fast as batches are taken. */
    {"consumer", never_starved, NULL},
    /* The reading thread is busy all the time: from the page cache, without a disk. */
    {"read CPU", reading_thread_binds, NULL},
    /* The reading thread waits for the disk. */
    {"disk", reading_binds, NULL},
    /* Batches are written as fast as memory takes them. */
    {"memory", memory_binds, NULL},
    /* Making samples takes longer than decoding: checksum, conversion, resizing. */
    {"augment", augmenting_binds, NULL},
    /* Decoding takes most of a sample's time. */
    {"decode", otherwise, bench_find_codec},
};

static const stage *binding_stage(const bench_report *report, const bench_full *full)
{
    const stage *limit = stages;
    while (!limit->binds(report, full))
        limit++;
    return limit;
}

/* Says nothing of a change that was not found. */
static int explain_change(an_buffer *text, const char *begin, const bench_change *change)
{
    if (change->share <= 0)
        return AN_OK;
    return an_buffer_printf(
        text,
        "; %s %.0f %% of the records as %s (an-ingest transcode): %.2fx, %.0f images/s, a file of %.2f times the size",
        begin, 100 * change->share, an_codec_name(change->codec), change->gain, change->rate, change->growth);
}

static int explain_rates(an_buffer *text, const bench_report *report, double rate)
{
    return an_buffer_printf(
        text,
        "%s: %.0f images/s, which is %.0f %% of reading alone, %.0f %% of samples alone, %.0f %% of "
        "writing batches alone",
        report->verdict.stage, rate, 100 * rate / bench_rate(&report->read), 100 * rate / bench_rate(&report->sample),
        100 * rate / bench_rate(&report->memory));
}

static int explain(const bench_config *config, const bench_report *report, const bench_full *full, an_buffer *text)
{
    const bench_verdict *v = &report->verdict;
    int rc = explain_rates(text, report, bench_rate(&full->result));
    if (rc)
        return rc;
    if (config->compute_ms > 0) {
        rc = an_buffer_printf(text, "; the consumer waited %.1f %% of the time", 100 * full->starved);
        if (rc)
            return rc;
    }
    rc = explain_change(text, "store", &v->change);
    if (rc)
        return rc;
    return explain_change(text, "further, where disk and memory have room, store", &v->further);
}

/* Decoding on the device instead, where that was measured and is faster. */
static int explain_device(an_buffer *text, const bench_config *config, const bench_report *report, double rate)
{
    double there = bench_rate(&report->device.full.result);
    if (there <= WORTH * rate)
        return AN_OK;
    return an_buffer_printf(text, "; let %s decode (--decode device): %.2fx, %.0f images/s", config->devices,
                            there / rate, there);
}

int bench_judge(const bench_config *config, const an_dataset *dataset, bench_report *report)
{
    const bench_full *full = &report->full[report->full_count - 1];
    const stage *limit = binding_stage(report, full);
    an_buffer text = {0};
    report->verdict.stage = limit->name;
    int rc = limit->remedy ? limit->remedy(config, dataset, report) : AN_OK;
    if (rc)
        return rc;
    rc = explain(config, report, full, &text);
    if (!rc)
        rc = explain_device(&text, config, report, bench_rate(&full->result));
    if (!rc)
        snprintf(report->verdict.text, sizeof report->verdict.text, "%s", (const char *)text.data);
    an_buffer_free(&text);
    return rc;
}

/* Which of the two is slower; neither, if the loader with the device stays well below both. */
static const char *binding_there(double rate, double loader, double device)
{
    double slower = loader < device ? loader : device;
    if (rate <= NEAR * slower)
        return "copy";
    return loader < device ? "loader" : "device";
}

int bench_judge_device(const bench_config *config, bench_report *report)
{
    bench_verdict *v = &report->verdict;
    const bench_full *alone = &report->payload[report->payload_count - 1];
    double loader = bench_rate(&alone->result), device = bench_rate(&report->device.decode);
    double rate = bench_rate(&report->device.full.result);
    if (!report->device.decode.threads) {
        v->stage = "loader";
        snprintf(v->text, sizeof v->text, "loader: %d thread%s can feed a device with %.0f images/s",
                 alone->result.threads, alone->result.threads == 1 ? "" : "s", loader);
        return AN_OK;
    }
    v->stage = binding_there(rate, loader, device);
    snprintf(v->text, sizeof v->text,
             "%s: %.0f images/s decoded on %s, which is %.0f %% of the loader alone, %.0f %% of decoding alone",
             v->stage, rate, config->devices, 100 * rate / loader, 100 * rate / device);
    return AN_OK;
}
