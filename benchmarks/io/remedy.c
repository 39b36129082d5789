/* What storing the records in another codec would change, computed from measured costs.
 *
 * The model counts seconds of a processor for an image. A worker takes s to make the sample. The reading thread takes
 * r, which adds to s where every processor runs a worker. If a share p of the records is stored in another codec, whose
 * samples take s' and whose reading takes r', then s becomes p s' + (1 - p) s, and r likewise. A gain is the ratio of
 * two such sums. Their terms are measured in turns, so that other load on the machine affects both alike.
 *
 * What the loader itself takes is left out. It could be measured only as the difference between the whole and its
 * parts. For JPEG that is a hundredth of the time and drowns in noise; added to the small s' of an rgb record, the
 * noise would make predictions wrong by half. */
#include <math.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/thread.h"
#include "benchmarks/io/bench_io.h"

/* Seconds of a processor for an image, now and in another codec. */
typedef struct {
    double sample, new_sample, reading, new_reading;
    double new_bytes;
} costs;

/* Processors that so many workers can use. */
static double workers(int threads)
{
    int processors = an_thread_cpu_count();
    return threads < processors ? threads : processors;
}

static bool saturated(int threads)
{
    return threads >= an_thread_cpu_count();
}

static int measure_once(const bench_config *config, const an_dataset *dataset, const bench_pack *pack, int threads,
                        costs *sum)
{
    bench_result now, then, read, new_read;
    int rc = bench_run_sample(config, dataset, NULL, threads, &now);
    if (rc)
        return rc;
    rc = bench_run_sample(config, dataset, pack, threads, &then);
    if (rc)
        return rc;
    rc = bench_run_read(config, dataset, 0, &read);
    if (rc)
        return rc;
    rc = bench_run_read(config, dataset, (uint32_t)sum->new_bytes, &new_read);
    if (rc)
        return rc;
    sum->sample += bench_cpu_cost(&now) / config->rounds;
    sum->new_sample += bench_cpu_cost(&then) / config->rounds;
    sum->reading += bench_cpu_cost(&read) / config->rounds;
    sum->new_reading += bench_cpu_cost(&new_read) / config->rounds;
    return AN_OK;
}

static int measure_codec(const bench_config *config, const an_dataset *dataset, const bench_report *report,
                         const bench_pack *pack, costs *out)
{
    int threads = report->full[report->full_count - 1].result.threads;
    *out = (costs){.new_bytes = (double)pack->bytes / (double)pack->count};
    for (int i = 0; i < config->rounds; i++) {
        int rc = measure_once(config, dataset, pack, threads, out);
        if (rc)
            return rc;
    }
    return AN_OK;
}

/* Seconds for an image with this share of the records in the other codec: the slower of workers and reading thread. */
static double model(const costs *c, int threads, double share)
{
    double sample = (1 - share) * c->sample + share * c->new_sample;
    double reading = (1 - share) * c->reading + share * c->new_reading;
    if (saturated(threads))
        return (sample + reading) / workers(threads);
    return fmax(sample / workers(threads), reading);
}

/* Whether a share of the records can have the codec: --codec mixed:P of an-ingest transcode takes yuv420 for it. */
static bool mixable(an_codec codec)
{
    return codec == AN_CODEC_YUV420;
}

/* The smallest share of the records that gains about all there is to gain. */
static bench_change best_share(const costs *c, const bench_report *report, an_codec codec)
{
    const bench_full *full = &report->full[report->full_count - 1];
    double rate = bench_rate(&full->result), bytes = (double)report->read.bytes / (double)report->read.images;
    int threads = full->result.threads;
    bench_change best = {.codec = codec, .rate = rate};
    for (int tenths = mixable(codec) ? 1 : 10; tenths <= 10; tenths++) {
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

/* What storing records in this codec would change. A dataset whose records all have it gains nothing and is not
 * measured. */
static int try_codec(const bench_config *config, const an_dataset *dataset, const bench_report *report, an_codec codec,
                     bench_change *out)
{
    bench_pack pack;
    costs c;
    *out = (bench_change){.codec = codec};
    int rc = bench_pack_make(&pack, dataset, codec);
    if (!rc && pack.changed > 0) {
        rc = measure_codec(config, dataset, report, &pack, &c);
        if (!rc)
            *out = best_share(&c, report, codec);
    }
    bench_pack_free(&pack);
    return rc;
}

/* Try every codec but JPEG, which takes the longest to decode. */
int bench_find_codec(const bench_config *config, const an_dataset *dataset, bench_report *report)
{
    int count = 0;
    bench_change *tried = calloc(an_codec_count(), sizeof *tried);
    if (!tried)
        return an_error(AN_ENOMEM, "out of memory for %zu codecs", an_codec_count());
    int rc = AN_OK;
    for (size_t i = 0; !rc && i < an_codec_count(); i++)
        if (an_codec_at(i) != AN_CODEC_JPEG)
            rc = try_codec(config, dataset, report, an_codec_at(i), &tried[count++]);
    if (!rc)
        bench_choose(tried, count, &report->verdict);
    free(tried);
    return rc;
}
