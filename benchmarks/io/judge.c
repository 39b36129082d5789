/* The verdict: which stage binds, by comparing the loader with each stage's own limit measured in the same run, and the
 * one change that would help most, computed from measured costs.
 *
 * Model, in seconds of a processor an image: a worker takes s for the sample; where every processor runs a worker, the
 * reading thread's r adds to it. Storing a share p of the records in a codec whose sample costs s' and whose reading
 * costs r' puts p s' + (1 - p) s for s, likewise for r. Gains are ratios of two such sums whose terms were measured in
 * turns, so that other load on the machine cancels. What the loader takes beyond them is left out: it is a hundredth of
 * a JPEG's time, lost in the noise of the difference that would measure it (the whole less its parts), and that noise,
 * added to an rgb record's s', made predictions wrong by half. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/error.h"
#include "base/thread.h"
#include "benchmarks/io/bench_io.h"
#include "store/codec.h"

#define STARVED 0.01 /* less waiting than this: the consumer is the limit */
#define NEAR 0.85    /* a stage is the limit if the loader reaches this much of it */
#define PACK_IMAGES 200

/* ---- other codecs ----------------------------------------------------------------------------------------------- */

/* What an image is taken from one codec to another with. */
typedef struct {
    an_encoder *encoder;
    an_decoder *decoder;
    an_image image;
} packer;

static int packer_init(packer *p)
{
    *p = (packer){0};
    int rc = an_encoder_create(&p->encoder);
    if (rc == AN_OK)
        rc = an_decoder_create(&p->decoder);
    return rc;
}

static void packer_clear(packer *p)
{
    an_encoder_free(p->encoder);
    an_decoder_free(p->decoder);
    an_image_free(&p->image);
}

/* As an-ingest transcode does it: without loss where that is possible, else through pixels. */
static int pack_record(packer *p, const an_record *record, an_codec codec, an_buffer *out)
{
    const an_codec_options options = {.codec = codec, .quality = 90, .subsampling = AN_JPEG_420};
    const an_record_header *h = &record->header;
    int rc = an_encoder_convert(p->encoder, h->codec, record->payload, h->length, codec, out);
    if (rc != AN_EUNSUPPORTED)
        return rc;
    rc = an_image_set_size(&p->image, h->width, h->height);
    if (rc == AN_OK)
        rc = an_decoder_window(p->decoder, record, 0, 0, h->width, h->height, p->image.pixels, (size_t)h->width * 3);
    return rc == AN_OK ? an_encoder_encode(p->encoder, &p->image, &options, out) : rc;
}

static int pack_fill(bench_pack *pack, an_buffer *bytes, const an_dataset *dataset, an_codec codec, packer *p)
{
    int rc = AN_OK;
    for (uint64_t i = 0; rc == AN_OK && i < pack->count; i++) {
        an_record record;
        uint64_t step = an_dataset_count(dataset) / pack->count;
        size_t before = bytes->size;
        rc = an_dataset_record(dataset, i * step, &record);
        if (rc == AN_OK)
            rc = pack_record(p, &record, codec, bytes);
        if (rc != AN_OK)
            return rc;
        an_record_header *header = &pack->records[i].header;
        uint8_t written[AN_RECORD_HEADER_SIZE];
        *header = record.header;
        header->codec = codec;
        pack->changed += record.header.codec != codec;
        header->length = (uint32_t)(bytes->size - before);
        an_record_header_write(header, bytes->data + before, written);
    }
    return rc;
}

int bench_pack_make(bench_pack *out, const an_dataset *dataset, an_codec codec)
{
    packer p = {0};
    an_buffer bytes = {0};
    uint64_t count = an_dataset_count(dataset) < PACK_IMAGES ? an_dataset_count(dataset) : PACK_IMAGES;
    *out = (bench_pack){.count = count, .records = calloc(count, sizeof *out->records)};
    int rc = out->records ? packer_init(&p) : an_error(AN_ENOMEM, "out of memory for a pack");
    if (rc == AN_OK)
        rc = pack_fill(out, &bytes, dataset, codec, &p);
    const uint8_t *payload = bytes.data;
    for (uint64_t i = 0; rc == AN_OK && i < count; i++) {
        out->records[i].payload = payload;
        payload += out->records[i].header.length;
    }
    out->memory = bytes.data;
    out->bytes = bytes.size + count * AN_RECORD_HEADER_SIZE;
    packer_clear(&p);
    return rc;
}

void bench_pack_free(bench_pack *pack)
{
    free(pack->records);
    free(pack->memory);
}

/* Of an image, in seconds of a processor, today and in another codec. */
typedef struct {
    double sample, new_sample, reading, new_reading;
    double new_bytes;
} costs;

/* Processors that t workers can use. */
static double workers(int threads)
{
    int processors = an_thread_cpu_count();
    return threads < processors ? threads : processors;
}

static bool saturated(int threads)
{
    return threads >= an_thread_cpu_count();
}

/* Processor time, which other load on the machine leaves alone. */
static double cost(const bench_result *result)
{
    return result->images ? result->cpu_seconds / (double)result->images : 0;
}

static int measure_once(const bench_config *config, const an_dataset *dataset, const bench_pack *pack, int threads,
                        costs *sum)
{
    bench_result now, then, read, new_read;
    int rc = bench_run_sample(config, dataset, NULL, threads, &now);
    if (rc == AN_OK)
        rc = bench_run_sample(config, dataset, pack, threads, &then);
    if (rc == AN_OK)
        rc = bench_run_read(config, dataset, 0, &read);
    if (rc == AN_OK)
        rc = bench_run_read(config, dataset, (uint32_t)sum->new_bytes, &new_read);
    if (rc != AN_OK)
        return rc;
    sum->sample += cost(&now) / config->rounds;
    sum->new_sample += cost(&then) / config->rounds;
    sum->reading += cost(&read) / config->rounds;
    sum->new_reading += cost(&new_read) / config->rounds;
    return AN_OK;
}

static int measure_codec(const bench_config *config, const an_dataset *dataset, const bench_report *report,
                         const bench_pack *pack, costs *out)
{
    int threads = report->full[report->full_count - 1].result.threads, rc = AN_OK;
    *out = (costs){.new_bytes = (double)pack->bytes / (double)pack->count};
    for (int i = 0; rc == AN_OK && i < config->rounds; i++)
        rc = measure_once(config, dataset, pack, threads, out);
    return rc;
}

/* Seconds an image with this share of the records in the other codec: of the slower of workers and reading thread. */
static double model(const costs *c, int threads, double share)
{
    double sample = (1 - share) * c->sample + share * c->new_sample;
    double reading = (1 - share) * c->reading + share * c->new_reading;
    if (saturated(threads))
        return (sample + reading) / workers(threads);
    return fmax(sample / workers(threads), reading);
}

/* What an-ingest transcode can do: everything as coef or rgb, or a share as yuv420. */
static const struct {
    an_codec codec;
    bool shared;
} candidates[] = {{AN_CODEC_COEF, false}, {AN_CODEC_YUV420, true}, {AN_CODEC_RGB, false}};

enum { CANDIDATES = sizeof candidates / sizeof *candidates };

/* The smallest share that gains about all there is to gain. */
static bench_change best_share(const costs *c, const bench_report *report, an_codec codec, bool shared)
{
    const bench_full *full = &report->full[report->full_count - 1];
    double rate = bench_rate(&full->result), bytes = (double)report->read.bytes / (double)report->read.images;
    int threads = full->result.threads;
    bench_change best = {.codec = codec, .rate = rate};
    for (int tenths = shared ? 1 : 10; tenths <= 10; tenths++) {
        double share = tenths / 10.0, then = rate * model(c, threads, 0) / model(c, threads, share);
        if (then > best.rate * 1.02)
            best = (bench_change){.codec = codec,
                                  .share = share,
                                  .rate = then,
                                  .gain = then / rate,
                                  .growth = 1 - share + share * c->new_bytes / bytes};
    }
    return best;
}

/* A dataset that is there already has nothing to gain, and is not measured. */
static int try_codec(const bench_config *config, const an_dataset *dataset, const bench_report *report, an_codec codec,
                     bool shared, bench_change *out)
{
    bench_pack pack;
    costs c;
    int rc = bench_pack_make(&pack, dataset, codec);
    *out = (bench_change){.codec = codec};
    if (rc == AN_OK && pack.changed > 0) {
        rc = measure_codec(config, dataset, report, &pack, &c);
        if (rc == AN_OK)
            *out = best_share(&c, report, codec, shared);
    }
    bench_pack_free(&pack);
    return rc;
}

static int find_change(const bench_config *config, const an_dataset *dataset, bench_report *report)
{
    bench_change tried[CANDIDATES];
    for (int i = 0; i < CANDIDATES; i++) {
        int rc = try_codec(config, dataset, report, candidates[i].codec, candidates[i].shared, &tried[i]);
        if (rc != AN_OK)
            return rc;
    }
    bench_choose(tried, CANDIDATES, &report->verdict);
    return AN_OK;
}

/* ---- which stage ------------------------------------------------------------------------------------------------- */

static const char *binding_stage(const bench_report *report, const bench_full *full)
{
    double rate = bench_rate(&full->result), read = bench_rate(&report->read), sample = bench_rate(&report->sample);
    double decode_cost = cost(&report->decode), sample_cost = cost(&report->sample);
    bool read_busy = report->read.cpu_seconds > 0.9 * report->read.seconds;
    if (full->starved < STARVED)
        return "consumer";
    if (read < sample && rate > NEAR * read)
        return read_busy ? "read CPU" : "disk";
    if (rate > NEAR * bench_rate(&report->memory))
        return "memory";
    return sample_cost - decode_cost > decode_cost ? "augment" : "decode";
}

static int explain_change(an_buffer *text, const char *begin, const bench_change *change)
{
    return an_buffer_printf(
        text,
        "; %s %.0f %% of the records as %s (an-ingest transcode): %.2fx, %.0f images/s, a file of %.2f times the size",
        begin, 100 * change->share, an_codec_name(change->codec), change->gain, change->rate, change->growth);
}

static void explain(const bench_config *config, bench_report *report, const bench_full *full)
{
    bench_verdict *v = &report->verdict;
    double rate = bench_rate(&full->result);
    an_buffer text = {0};
    int rc =
        an_buffer_printf(&text,
                         "%s: %.0f images/s, which is %.0f %% of reading alone, %.0f %% of samples alone, %.0f %% of "
                         "writing batches alone",
                         v->stage, rate, 100 * rate / bench_rate(&report->read),
                         100 * rate / bench_rate(&report->sample), 100 * rate / bench_rate(&report->memory));
    if (rc == AN_OK && config->compute_ms > 0)
        rc = an_buffer_printf(&text, "; the consumer waited %.1f %% of the time", 100 * full->starved);
    if (rc == AN_OK && v->change.share > 0)
        rc = explain_change(&text, "store", &v->change);
    if (rc == AN_OK && v->further.share > 0)
        rc = explain_change(&text, "further, where disk and memory have room, store", &v->further);
    if (rc == AN_OK)
        snprintf(v->text, sizeof v->text, "%s", (const char *)text.data);
    an_buffer_free(&text);
}

int bench_judge(const bench_config *config, const an_dataset *dataset, bench_report *report)
{
    const bench_full *full = &report->full[report->full_count - 1];
    int rc = AN_OK;
    report->verdict.stage = binding_stage(report, full);
    if (strcmp(report->verdict.stage, "decode") == 0)
        rc = find_change(config, dataset, report);
    if (rc == AN_OK)
        explain(config, report, full);
    return rc;
}
