/* an-bench-io: the loader and its stages, each measured alone in the same run. */
#ifndef AN_BENCHMARKS_IO_BENCH_IO_H
#define AN_BENCHMARKS_IO_BENCH_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "augment/loader.h"

#define BENCH_THREADS_MAX 256

typedef enum { BENCH_ALL, BENCH_READ, BENCH_DECODE, BENCH_FULL } bench_stage;

typedef struct {
    const char *threads_text; /* "2", "1,2,4" or "1..4" */
    int stage, rounds, batch, crop, dtype, layout, channels, mean, engine, depth, slots, order;
    uint64_t block, seed, batches, epochs;
    double seconds, warm_up, resized, jitter, compute_ms;
    bool centre, no_flip, no_verify, cold, json;
    const char *chart;
    /* Not options: */
    int threads[BENCH_THREADS_MAX], thread_counts;
} bench_config;

/* What one stage did. */
typedef struct {
    int threads;
    double seconds;
    uint64_t images, bytes; /* bytes of records */
    double cpu_seconds;     /* of the threads that did the work */
} bench_result;

/* Where the time of the threads and of the consumer went, sampled while running. */
typedef struct {
    double at; /* seconds */
    an_loader_stats stats;
} bench_sample;

typedef struct {
    bench_result result;
    an_loader_stats stats;
    an_reader_engine engine;
    char note[256];
    double starved;        /* share of the time that the consumer waited */
    bench_sample *samples; /* caller frees */
    size_t sample_count;
} bench_full;

double bench_rate(const bench_result *result); /* images/s */
double bench_cost(const bench_result *result); /* seconds of a thread an image */
an_loader_options bench_loader_options(const bench_config *config, const an_dataset *dataset, int threads);

/* Records in memory instead of a dataset's own: what the images would cost in another codec. */
typedef struct {
    an_record *records;    /* payloads are in memory below */
    uint64_t count, bytes; /* with headers */
    uint64_t changed;      /* had another codec before */
    void *memory;
} bench_pack;

/* Some of the dataset's images encoded again. The caller frees. */
int bench_pack_make(bench_pack *out, const an_dataset *dataset, an_codec codec);
void bench_pack_free(bench_pack *pack);

/* Each runs for config->seconds / config->rounds after a warm-up. AN_STOPPED after a signal. */
double bench_round_seconds(const bench_config *config);
/* length 0: the records; else ranges of that length where the records begin, to see what longer ones would cost. */
int bench_run_read(const bench_config *config, const an_dataset *dataset, uint32_t length, bench_result *out);
/* Windows decoded from records in memory into one small buffer a thread; nothing else. */
int bench_run_decode(const bench_config *config, const an_dataset *dataset, int threads, bench_result *out);
/* The whole sample (checksum, decode, augment) from memory into one small buffer a thread: no batches. pack may be
 * NULL. */
int bench_run_sample(const bench_config *config, const an_dataset *dataset, const bench_pack *pack, int threads,
                     bench_result *out);
/* Finished samples copied into such a ring: as fast as memory takes batches. */
int bench_run_memory(const bench_config *config, const an_dataset *dataset, int threads, bench_result *out);
int bench_run_full(const bench_config *config, const an_dataset *dataset, int threads, bench_full *out);

/* Ask the kernel to drop the file's pages; an error is not worth stopping for. */
void bench_drop_cache(const an_dataset *dataset);

/* Storing a share of the records in another codec, and what the measured costs say will follow. */
typedef struct {
    an_codec codec;
    double share;      /* 0: nothing better found */
    double rate, gain; /* images/s, and over today's */
    double growth;     /* of the file; below 1: it shrinks */
} bench_change;

/* The binding stage: "disk", "read CPU", "decode", "augment", "memory" or "consumer". */
typedef struct {
    const char *stage;
    char text[640];
    bench_change change;
    bench_change further; /* faster still, in a larger file */
} bench_verdict;

/* What was measured. Stages that were not run have threads 0. */
typedef struct {
    bench_result read, decode, sample, memory;
    bench_full full[BENCH_THREADS_MAX];
    int full_count;
    bench_verdict verdict; /* of the last full run; stage NULL: none */
} bench_report;

/* Needs every stage measured. Measures other codecs itself if decoding binds. */
int bench_judge(const bench_config *config, const an_dataset *dataset, bench_report *report);

/* Of what was tried, the change to propose and the further step (choice.c has the rule). */
void bench_choose(const bench_change *tried, int count, bench_verdict *out);

int bench_print_text(const bench_config *config, const an_dataset *dataset, const bench_report *report);
int bench_print_json(const bench_config *config, const an_dataset *dataset, const bench_report *report);
int bench_write_chart(const char *path, const bench_full *full); /* .svg or .png by its ending */

#endif
