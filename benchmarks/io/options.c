/* The options of an-bench-io. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/thread.h"
#include "benchmarks/io/bench_io.h"

static const char *const stages[] = {"all", "read", "decode", "full", NULL};
static const char *const places[] = {"host", "device", "auto", NULL}; /* an_decode_place, BENCH_AUTO */
static const char *const dtypes[] = {"u8", "f32", "bf16", "f16", NULL};
static const char *const layouts[] = {"nhwc", "nchw", NULL};
static const char *const means[] = {"none", "channel", "pixel", NULL};
static const char *const orders[] = {"global", "block", "sequential", NULL};

#define FIELD(name) .offset = offsetof(bench_config, name)

static const an_option options[] = {
    {.heading = "What is measured:"},
    {.name = "stage",
     .type = AN_OPTION_CHOICE,
     .metavar = "STAGE",
     .choices = stages,
     .initial = "all",
     FIELD(stage),
     .help = "one stage alone, or all of them and the verdict"},
    {.name = "decode",
     .type = AN_OPTION_CHOICE,
     .metavar = "WHO",
     .choices = places,
     .initial = "auto",
     FIELD(decode),
     .help = "who decodes: the loader's threads (host), or a GPU, for which the loader only moves undecoded records "
             "(device); auto: both are measured if --devices names one"},
    {.name = "devices",
     .type = AN_OPTION_STRING,
     .metavar = "DEVICE",
     FIELD(devices),
     .help = "the GPU that decodes, such as cuda:0; without one --decode device measures the loader alone"},
    {.name = "threads",
     .key = 't',
     .type = AN_OPTION_STRING,
     .metavar = "LIST",
     FIELD(threads_text),
     .help = "loader threads: 2, or 1,2,4, or 1..8 (default: every processor)"},
    {.name = "seconds",
     .type = AN_OPTION_DOUBLE,
     .metavar = "S",
     .min = 0.05,
     .max = 86400,
     .initial = "5",
     FIELD(seconds),
     .help = "how long each measurement lasts, all its rounds together"},
    {.name = "rounds",
     .type = AN_OPTION_INT,
     .metavar = "N",
     .min = 1,
     .max = BENCH_ROUNDS_MAX,
     .initial = "3",
     FIELD(rounds),
     .help = "every stage is measured N times, in turns; the median counts"},
    {.name = "warm-up",
     .type = AN_OPTION_DOUBLE,
     .metavar = "S",
     .min = 0,
     .max = 3600,
     .initial = "0.5",
     FIELD(warm_up),
     .help = "not measured before each measurement"},
    {.name = "batches",
     .type = AN_OPTION_UINT64,
     .metavar = "N",
     .initial = "0",
     FIELD(batches),
     .help = "stop the loader after N batches instead of after --seconds"},
    {.name = "epochs",
     .type = AN_OPTION_UINT64,
     .metavar = "N",
     .initial = "0",
     FIELD(epochs),
     .help = "stop the loader after N epochs, without a warm-up"},
    {.name = "cold",
     .type = AN_OPTION_FLAG,
     .initial = "false",
     FIELD(cold),
     .help = "drop the file from the page cache first and at every epoch"},
    {.name = "compute",
     .type = AN_OPTION_DOUBLE,
     .metavar = "MS",
     .min = 0,
     .max = 60000,
     .initial = "0",
     FIELD(compute_ms),
     .help = "a consumer that takes MS milliseconds a batch"},
    {.heading = "Batches:"},
    {.name = "batch",
     .key = 'b',
     .type = AN_OPTION_INT,
     .metavar = "N",
     .min = 1,
     .max = 65536,
     .initial = "128",
     FIELD(batch),
     .help = "samples in a batch"},
    {.name = "crop",
     .key = 'c',
     .type = AN_OPTION_INT,
     .metavar = "PIXELS",
     .min = 1,
     .max = 16384,
     .initial = "224",
     FIELD(crop),
     .help = "side of the crop"},
    {.name = "centre",
     .type = AN_OPTION_FLAG,
     .initial = "false",
     FIELD(centre),
     .help = "centre crops instead of random ones"},
    {.name = "resized",
     .type = AN_OPTION_DOUBLE,
     .metavar = "AREA",
     .min = 0,
     .max = 1,
     .initial = "0",
     FIELD(resized),
     .help = "random resized crops of at least this share of the image, such as 0.08; 0: off"},
    {.name = "no-flip", .type = AN_OPTION_FLAG, .initial = "false", FIELD(no_flip), .help = "no mirrored images"},
    {.name = "mean",
     .type = AN_OPTION_CHOICE,
     .metavar = "KIND",
     .choices = means,
     .initial = "none",
     FIELD(mean),
     .help = "what is subtracted; not with u8"},
    {.name = "jitter",
     .type = AN_OPTION_DOUBLE,
     .metavar = "X",
     .min = 0,
     .max = 10,
     .initial = "0",
     FIELD(jitter),
     .help = "PCA colour jitter; with u8 drawn, not applied"},
    {.name = "dtype",
     .type = AN_OPTION_CHOICE,
     .metavar = "TYPE",
     .choices = dtypes,
     .initial = "u8",
     FIELD(dtype),
     .help = "type of the elements"},
    {.name = "layout",
     .type = AN_OPTION_CHOICE,
     .metavar = "LAYOUT",
     .choices = layouts,
     .initial = "nhwc",
     FIELD(layout),
     .help = "layout of a batch"},
    {.name = "channels",
     .type = AN_OPTION_INT,
     .metavar = "N",
     .min = 3,
     .max = 4,
     .initial = "3",
     FIELD(channels),
     .help = "4 adds a zero channel"},
    {.name = "slots",
     .type = AN_OPTION_INT,
     .metavar = "N",
     .min = 2,
     .max = 4096,
     .initial = "2",
     FIELD(slots),
     .help = "batches in memory"},
    {.heading = "Reading:"},
    {.name = "engine",
     .key = 'e',
     .type = AN_OPTION_CHOICE,
     .metavar = "ENGINE",
     .choices = an_reader_engine_names,
     .initial = "auto",
     FIELD(engine),
     .help = "how records are read"},
    {.name = "depth",
     .key = 'd',
     .type = AN_OPTION_INT,
     .metavar = "N",
     .min = 1,
     .max = 4096,
     .initial = "64",
     FIELD(depth),
     .help = "reads in flight"},
    {.name = "order",
     .type = AN_OPTION_CHOICE,
     .metavar = "ORDER",
     .choices = orders,
     .initial = "global",
     FIELD(order),
     .help = "order of an epoch"},
    {.name = "block",
     .type = AN_OPTION_UINT64,
     .metavar = "K",
     .initial = "1024",
     FIELD(block),
     .help = "neighbours that stay together in --order block"},
    {.name = "seed",
     .type = AN_OPTION_UINT64,
     .metavar = "N",
     .initial = "1",
     FIELD(seed),
     .help = "of the order, the crops, the flips and the jitter"},
    {.name = "no-verify",
     .type = AN_OPTION_FLAG,
     .initial = "false",
     FIELD(no_verify),
     .help = "do not compare the records' checksums"},
    {.heading = "Output:"},
    {.name = "json",
     .type = AN_OPTION_FLAG,
     .initial = "false",
     FIELD(json),
     .help = "one JSON object instead of text"},
    {.name = "chart",
     .type = AN_OPTION_STRING,
     .metavar = "FILE",
     FIELD(chart),
     .help = "draw who was busy when in the last run of the loader: FILE.svg, FILE.png or FILE.pdf"},
    {0},
};

const an_options bench_options = {
    .program = "an-bench-io",
    .usage = "DATASET",
    .summary =
        "Measure how fast a dataset can be read, decoded and delivered in batches, name the stage that is the limit "
        "and how far each stage is from its own, and propose the one change that would help most.",
    .epilogue = "Examples:\n"
                "  an-bench-io data/train\n"
                "  an-bench-io --threads 1..8 --dtype f32 --layout nchw --mean pixel --jitter 0.1 data/train\n"
                "  an-bench-io --stage read --engine uring-direct --depth 128 data/train\n"
                "  an-bench-io --compute 20 --batches 2000 data/train\n"
                "  an-bench-io --decode device --devices cuda:0 data/train",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 1,
};

static int bad_list(const char *text)
{
    return an_error(AN_EINVAL, "--threads '%s': give 1..%d threads as 2, 1,2,4 or 1..8", text, BENCH_THREADS_MAX);
}

int bench_parse_threads(bench_config *config)
{
    const char *at = config->threads_text;
    if (!at) {
        config->threads[config->thread_counts++] = an_thread_cpu_count();
        return AN_OK;
    }
    for (;;) {
        char *end;
        long first = strtol(at, &end, 10), last = first;
        if (end == at)
            return bad_list(config->threads_text);
        if (strncmp(end, "..", 2) == 0) {
            at = end + 2;
            last = strtol(at, &end, 10);
            if (end == at)
                return bad_list(config->threads_text);
        }
        if (first < 1 || last < first || last > BENCH_THREADS_MAX || (*end && *end != ','))
            return bad_list(config->threads_text);
        for (long n = first; n <= last; n++) {
            if (config->thread_counts == BENCH_THREADS_MAX)
                return bad_list(config->threads_text);
            config->threads[config->thread_counts++] = (int)n;
        }
        if (!*end)
            return AN_OK;
        at = end + 1;
    }
}
