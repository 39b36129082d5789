/* an-bench-io: the loader and its stages, each measured alone in the same run. */
#ifndef AN_BENCHMARKS_IO_BENCH_IO_H
#define AN_BENCHMARKS_IO_BENCH_IO_H

#include <stdbool.h>
#include <stdint.h>

#include "augment/loader.h"
#include "base/program/options.h"

#define BENCH_THREADS_MAX 256 /* entries of --threads */
#define BENCH_ROUNDS_MAX 99

typedef enum { BENCH_ALL, BENCH_READ, BENCH_DECODE, BENCH_FULL } bench_stage;

/* --decode: an_decode_place, or both. */
enum { BENCH_AUTO = AN_DECODE_DEVICE + 1 };

typedef struct {
    const char *threads_text; /* "2", "1,2,4" or "1..4" */
    const char *devices;      /* NULL: none */
    int stage, decode, rounds, batch, crop, dtype, layout, channels, mean, engine, depth, slots, order;
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
    double starved;         /* share of the time that the consumer waited */
    uint64_t bus_bytes;     /* of batches: what a device would be sent */
    uint64_t payload_bytes; /* the payloads in them; 0: batches are samples */
    bench_sample *samples;  /* caller frees */
    size_t sample_count;
} bench_full;

extern const an_options bench_options;
/* --threads, such as "1..4" or "1,2,4", into threads and thread_counts. AN_EINVAL if it is no such list. */
int bench_parse_threads(bench_config *config);

double bench_rate(const bench_result *result); /* images/s */
double bench_cost(const bench_result *result); /* seconds of a thread for an image */
/* Seconds of a processor for an image: other load on the machine changes them less than bench_cost. */
double bench_cpu_cost(const bench_result *result);
an_loader_options bench_loader_options(const bench_config *config, const an_dataset *dataset, int threads);
/* Whether the loader is measured with samples; and with undecoded records. */
bool bench_decodes_here(const bench_config *config);
bool bench_decodes_there(const bench_config *config);

/* Records in memory, to measure what a dataset's images would cost in another codec. */
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
/* Reading alone. length 0: the records; else ranges of that length where the records begin, to see what longer records
 * would cost. */
int bench_run_read(const bench_config *config, const an_dataset *dataset, uint32_t length, bench_result *out);
/* Decoding alone: windows of records in memory, into one small buffer for each thread. */
int bench_run_decode(const bench_config *config, const an_dataset *dataset, int threads, bench_result *out);
/* Whole samples (checksum, decoding, augmentation) of records in memory, written to memory of a batch's size. pack: the
 * records; NULL: the dataset's. */
int bench_run_sample(const bench_config *config, const an_dataset *dataset, const bench_pack *pack, int threads,
                     bench_result *out);
/* A finished sample copied to such memory, again and again: as fast as memory takes batches. */
int bench_run_memory(const bench_config *config, const an_dataset *dataset, int threads, bench_result *out);
/* The loader. decode: what its batches hold. */
int bench_run_full(const bench_config *config, const an_dataset *dataset, an_decode_place decode, int threads,
                   bench_full *out);

/* Who takes the loader's batches: take is called for each and sees to its release, end when the last was taken. */
typedef struct {
    int (*take)(void *context, an_loader *loader, const an_batch *batch);
    int (*end)(void *context, an_loader *loader);
    void *context;
} bench_consumer;

int bench_run_loader(const bench_config *config, const an_loader_options *options, const bench_consumer *consumer,
                     bench_full *out);

/* Decoding on a device. */
typedef struct {
    bench_result decode; /* alone, of batches that are there; threads 0: not measured */
    bench_full full;     /* the loader of undecoded records, copies to the device and decoding there */
    uint64_t memory;     /* bytes on the device */
} bench_device;

/* Whether config->devices can decode; the message says what is missing. */
int bench_check_device(const bench_config *config, const an_dataset *dataset);
int bench_run_device(const bench_config *config, const an_dataset *dataset, int threads, bench_device *out);

/* Ask the kernel to drop the file's pages from the page cache. Errors are ignored. */
void bench_drop_cache(const an_dataset *dataset);

/* Storing a share of the records in another codec, and what the measured costs predict. */
typedef struct {
    an_codec codec;
    double share;      /* 0: nothing better found */
    double rate, gain; /* images/s, and how many times as many as now */
    double growth;     /* of the file; below 1: it shrinks */
} bench_change;

typedef struct {
    const char *stage; /* that is the limit: a name from the table in judge.c */
    char text[640];
    bench_change change;
    bench_change further; /* faster still, in a larger file */
} bench_verdict;

/* What was measured. Stages that were not run have threads 0. */
typedef struct {
    bench_result read, decode, sample, memory;
    bench_full full[BENCH_THREADS_MAX];
    bench_full payload[BENCH_THREADS_MAX]; /* the loader delivers undecoded records */
    int full_count, payload_count;
    bench_device device;
    bench_verdict verdict; /* of the last full run; stage NULL: none */
} bench_report;

/* The last run of the loader; NULL: none. */
const bench_full *bench_last(const bench_report *report);

/* Needs every stage measured. Measures other codecs itself if decoding is the limit. */
int bench_judge(const bench_config *config, const an_dataset *dataset, bench_report *report);
/* The same where only a device decodes. */
int bench_judge_device(const bench_config *config, bench_report *report);

/* The remedy for slow decoding: measure the codecs and put what to propose into report->verdict. */
int bench_find_codec(const bench_config *config, const an_dataset *dataset, bench_report *report);

/* Of the changes that were measured, the one to propose and the further step (choice.c has the rule). */
void bench_choose(const bench_change *tried, int count, bench_verdict *out);

/* Bytes that a device would be sent for an image, and those of its payload. */
double bench_bus(const bench_full *full);
double bench_payload(const bench_full *full);

int bench_print_text(const bench_config *config, const an_dataset *dataset, const bench_report *report);
int bench_print_json(const bench_config *config, const an_dataset *dataset, const bench_report *report);
int bench_write_chart(const char *path, const bench_full *full); /* .svg, .png or .pdf by its ending */

#endif
