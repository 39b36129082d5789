/* The options of an ingest, as declared for the command line, and parsers for those that are small languages. */
#ifndef AN_INGEST_RUN_CONFIG_H
#define AN_INGEST_RUN_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "base/program/options.h"
#include "store/codec.h"

typedef enum { AN_INGEST_ORDER_SHUFFLED, AN_INGEST_ORDER_SOURCE } an_ingest_order;

typedef struct {
    int size, quality, subsampling, filter, order, threads, progress;
    uint64_t seed, pixels_max;
    const char *codec, *max_bad;
    const char *kind, *class_names, *classes_from, *labels, *synsets, *devkit;
    bool accept_truncated, dry_run, quiet;
} an_ingest_config;

extern const an_options an_ingest_options;

/* How many inputs may be set aside (--max-bad): a number, or a share of the inputs. In a small source a share is raised
 * to ten inputs, or to half of them if that is less, unless it is 0. */
typedef struct {
    bool relative;
    double share;
    uint64_t count;
} an_bad_limit;

int an_bad_limit_parse(const char *text, an_bad_limit *out); /* "20", "1%", "0.5%" */
uint64_t an_bad_limit_of(const an_bad_limit *limit, uint64_t items);

/* A codec's name, or "mixed:P": a share P of yuv420 (raw_share), the rest JPEG. */
int an_ingest_codec_parse(const char *text, an_codec *codec, double *raw_share);

#endif
