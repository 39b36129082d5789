/* The verdict: which stage binds, by comparing the loader with each stage's own limit measured in the same run, and the
 * one change that would help most, computed from measured costs.
 *
 * Model, in seconds of a processor an image: the loader takes t = processors / rate when every processor runs a worker.
 * Storing a share p of the records in a codec whose sample costs s' instead of s, and whose reading costs r' instead of
 * r, takes t' = t - p (s - s') + p (r' - r). */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/thread.h"
#include "benchmarks/bench_io.h"
#include "store/codec.h"

#define STARVED 0.01 /* less waiting than this: the consumer is the limit */
#define NEAR 0.85    /* a stage is the limit if the loader reaches this much of it */
#define WORTH 1.05   /* gain below which a change is not worth naming */
#define PACK_IMAGES 200

/* ---- other codecs ----------------------------------------------------------------------------------------------- */

static int pack_fill(bench_pack *pack, an_buffer *bytes, const an_dataset *dataset, an_codec codec, an_encoder *encoder,
                     an_decoder *decoder, an_image *image)
{
    const an_codec_options options = {.codec = codec, .quality = 90, .subsampling = AN_JPEG_420};
    uint32_t side = an_dataset_side(dataset);
    int rc = an_image_set_size(image, side, side);
    for (uint64_t i = 0; rc == AN_OK && i < pack->count; i++) {
        an_record record;
        uint64_t step = an_dataset_count(dataset) / pack->count;
        size_t before = bytes->size;
        rc = an_dataset_record(dataset, i * step, &record);
        if (rc == AN_OK)
            rc = an_decoder_window(decoder, &record, 0, 0, side, side, image->pixels, (size_t)side * 3);
        if (rc == AN_OK)
            rc = an_encoder_encode(encoder, image, &options, bytes);
        if (rc != AN_OK)
            return rc;
        an_record_header *header = &pack->records[i].header;
        uint8_t written[AN_RECORD_HEADER_SIZE];
        *header = record.header;
        header->codec = codec;
        header->length = (uint32_t)(bytes->size - before);
        an_record_header_write(header, bytes->data + before, written);
    }
    return rc;
}

int bench_pack_make(bench_pack *out, const an_dataset *dataset, an_codec codec)
{
    an_encoder *encoder = NULL;
    an_decoder *decoder = NULL;
    an_image image = {0};
    an_buffer bytes = {0};
    uint64_t count = an_dataset_count(dataset) < PACK_IMAGES ? an_dataset_count(dataset) : PACK_IMAGES;
    *out = (bench_pack){.count = count, .records = calloc(count, sizeof *out->records)};
    int rc = out->records ? an_encoder_create(&encoder) : an_error(AN_ENOMEM, "out of memory for a pack");
    if (rc == AN_OK)
        rc = an_decoder_create(&decoder);
    if (rc == AN_OK)
        rc = pack_fill(out, &bytes, dataset, codec, encoder, decoder, &image);
    const uint8_t *payload = bytes.data;
    for (uint64_t i = 0; rc == AN_OK && i < count; i++) {
        out->records[i].payload = payload;
        payload += out->records[i].header.length;
    }
    out->memory = bytes.data;
    out->bytes = bytes.size + count * AN_RECORD_HEADER_SIZE;
    an_encoder_free(encoder);
    an_decoder_free(decoder);
    an_image_free(&image);
    return rc;
}

void bench_pack_free(bench_pack *pack)
{
    free(pack->records);
    free(pack->memory);
}

/* Costs of an image in seconds: a worker's and the reading thread's, today and in another codec. */
typedef struct {
    double sample, new_sample, reading, new_reading, new_bytes;
} costs;

static double reading_cost(const bench_result *read)
{
    return read->images ? read->cpu_seconds / (double)read->images : 0;
}

/* Both codecs measured in turns, so that whatever else the machine does meets both. */
static int measure_codec(const bench_config *config, const an_dataset *dataset, const bench_pack *pack, int threads,
                         costs *out)
{
    bench_result now = {0}, then = {0}, read = {0}, new_read = {0};
    int rc = AN_OK;
    out->new_bytes = (double)pack->bytes / (double)pack->count;
    for (int i = 0; rc == AN_OK && i < config->rounds; i++) {
        bench_result a, b, c, d;
        rc = bench_run_sample(config, dataset, NULL, threads, &a);
        if (rc == AN_OK)
            rc = bench_run_sample(config, dataset, pack, threads, &b);
        if (rc == AN_OK)
            rc = bench_run_read(config, dataset, 0, &c);
        if (rc == AN_OK)
            rc = bench_run_read(config, dataset, (uint32_t)out->new_bytes, &d);
        if (rc != AN_OK)
            return rc;
        now = bench_rate(&a) > bench_rate(&now) ? a : now;
        then = bench_rate(&b) > bench_rate(&then) ? b : then;
        read = bench_rate(&c) > bench_rate(&read) ? c : read;
        new_read = bench_rate(&d) > bench_rate(&new_read) ? d : new_read;
    }
    out->sample = bench_cost(&now);
    out->new_sample = bench_cost(&then);
    out->reading = reading_cost(&read);
    out->new_reading = reading_cost(&new_read);
    return rc;
}

/* Images/s with a share of the records in the other codec. Where every processor runs a worker, the reading thread's
 * time is theirs; else it is a limit of its own. */
static double predict(const costs *c, double rate, int threads, double share)
{
    int processors = an_thread_cpu_count();
    double saved = share * (c->sample - c->new_sample), more = share * (c->new_reading - c->reading);
    if (threads >= processors)
        return processors / fmax(processors / rate - saved + more, 1e-9);
    double reading = c->reading + more;
    return fmin(threads / fmax(threads / rate - saved, 1e-9), reading > 0 ? 1 / reading : INFINITY);
}

/* The smallest share of records in this codec that gains about all there is to gain. */
static int try_codec(const bench_config *config, const an_dataset *dataset, const bench_report *report, an_codec codec,
                     bench_change *best)
{
    const bench_full *full = &report->full[report->full_count - 1];
    double rate = bench_rate(&full->result), bytes = (double)report->read.bytes / (double)report->read.images;
    bench_pack pack;
    costs c = {0};
    int rc = bench_pack_make(&pack, dataset, codec);
    if (rc == AN_OK)
        rc = measure_codec(config, dataset, &pack, full->result.threads, &c);
    bench_pack_free(&pack);
    for (int tenths = 1; rc == AN_OK && tenths <= 10; tenths++) {
        double share = tenths / 10.0, then = predict(&c, rate, full->result.threads, share);
        if (then > best->rate * 1.01)
            *best = (bench_change){.codec = codec,
                                   .share = share,
                                   .rate = then,
                                   .gain = then / rate,
                                   .growth = 1 - share + share * c.new_bytes / bytes};
    }
    return rc;
}

static int find_change(const bench_config *config, const an_dataset *dataset, bench_report *report)
{
    static const an_codec codecs[] = {AN_CODEC_COEF, AN_CODEC_YUV420, AN_CODEC_RGB};
    bench_change best = {.rate = bench_rate(&report->full[report->full_count - 1].result)};
    int rc = AN_OK;
    for (size_t i = 0; rc == AN_OK && i < sizeof codecs / sizeof *codecs; i++)
        rc = try_codec(config, dataset, report, codecs[i], &best);
    if (best.gain < WORTH)
        best.share = 0;
    report->verdict.change = best;
    return rc;
}

/* ---- which stage ------------------------------------------------------------------------------------------------- */

static const char *binding_stage(const bench_report *report, const bench_full *full)
{
    double rate = bench_rate(&full->result), read = bench_rate(&report->read), sample = bench_rate(&report->sample);
    double decode_cost = bench_cost(&report->decode), sample_cost = bench_cost(&report->sample);
    bool read_busy = report->read.cpu_seconds > 0.9 * report->read.seconds;
    if (full->starved < STARVED)
        return "consumer";
    if (read < sample && rate > NEAR * read)
        return read_busy ? "read CPU" : "disk";
    if (rate < NEAR * fmin(sample, read) && full->result.threads < an_thread_cpu_count())
        return "memory";
    return sample_cost - decode_cost > decode_cost ? "augment" : "decode";
}

static void explain(bench_report *report, const bench_full *full)
{
    bench_verdict *v = &report->verdict;
    double rate = bench_rate(&full->result);
    int n = snprintf(v->text, sizeof v->text,
                     "%s: %.0f images/s, %.0f %% of what reading alone gives, %.0f %% of the samples "
                     "alone; the consumer waited %.1f %% of the time",
                     v->stage, rate, 100 * rate / bench_rate(&report->read), 100 * rate / bench_rate(&report->sample),
                     100 * full->starved);
    if (v->change.share > 0 && n > 0 && (size_t)n < sizeof v->text)
        snprintf(v->text + n, sizeof v->text - (size_t)n,
                 "; store %.0f %% of the records as %s: %.2fx, %.0f images/s (a file of %.1f times the size)",
                 100 * v->change.share, an_codec_name(v->change.codec), v->change.gain, v->change.rate,
                 v->change.growth);
}

int bench_judge(const bench_config *config, const an_dataset *dataset, bench_report *report)
{
    const bench_full *full = &report->full[report->full_count - 1];
    int rc = AN_OK;
    report->verdict.stage = binding_stage(report, full);
    if (strcmp(report->verdict.stage, "decode") == 0)
        rc = find_change(config, dataset, report);
    if (rc == AN_OK)
        explain(report, full);
    return rc;
}
