#include "train/advice/starvation.h"

#include <stdio.h>
#include <string.h>

/* STARVED: a share of the time that is worth a word. MOSTLY: the share from which most is meant. */
#define STARVED 0.05
#define MOSTLY 0.5

#define RECODE                                                                                                         \
    "transcode the JPEG records to coef, which loses nothing and decodes several times as fast (an-ingest transcode "  \
    "SOURCE DESTINATION --codec coef)"

#define THERE "let the devices decode (--decode device)"

static void explain_decode(const an_starvation *s, char *text, size_t size)
{
    char more[64];
    const char *cures[3];
    int count = 0;
    if (s->devices_could)
        cures[count++] = THERE;
    if (s->loader.threads < s->threads_most) {
        snprintf(more, sizeof more, "give the loader more threads (-j %d)", s->threads_most);
        cures[count++] = more;
    }
    if (s->jpegs > MOSTLY)
        cures[count++] = RECODE;
    int used = snprintf(text, size, "%s too slow with -j %d%s",
                        s->decode == AN_DECODE_DEVICE ? "moving records to the devices is" : "decoding is",
                        s->loader.threads, count ? "" : ", and no processor is left for more threads");
    for (int i = 0; i < count && used >= 0 && (size_t)used < size; i++)
        used += snprintf(text + used, size - (size_t)used, "%s%s", i ? ", or " : ": ", cures[i]);
}

static void explain_read(const an_starvation *s, char *text, size_t size)
{
    bool disk = (double)s->loader.reader_wait_ns > MOSTLY * 1e9 * s->seconds;
    snprintf(text, size, "%s",
             disk ? "the disk delivers records too slowly: put the dataset on a faster one, or give the machine enough "
                    "memory to keep it"
                  : "the reading thread fetches records too slowly");
}

bool an_starvation_found(const an_starvation *s)
{
    return s->seconds > 0 && s->waited >= STARVED * (s->seconds + s->held);
}

void an_starvation_explain(const an_starvation *s, char *text, size_t size)
{
    char why[512];
    an_loader_stats loader = s->loader;
    /* The loader's own clock also runs while nobody trains. */
    loader.elapsed_ns = (uint64_t)(1e9 * s->seconds);
    loader.consumer_wait_ns = (uint64_t)(1e9 * s->waited);
    const char *stage = an_loader_verdict(&loader, why, sizeof why);
    (strcmp(stage, "read") ? explain_decode : explain_read)(s, why, sizeof why);
    snprintf(text, size, "the devices waited %.0f %% of the time for images; %s",
             100 * s->waited / (s->seconds + s->held), why);
}

/* What was counted between two readings. */
static an_loader_stats counted(const an_loader_stats *now, const an_loader_stats *before)
{
    return (an_loader_stats){.worker_wait_read_ns = now->worker_wait_read_ns - before->worker_wait_read_ns,
                             .worker_wait_slot_ns = now->worker_wait_slot_ns - before->worker_wait_slot_ns,
                             .worker_busy_ns = now->worker_busy_ns - before->worker_busy_ns,
                             .reader_wait_ns = now->reader_wait_ns - before->reader_wait_ns,
                             .reader_blocked_ns = now->reader_blocked_ns - before->reader_blocked_ns,
                             .threads = now->threads};
}

bool an_starvation_add(an_starvation_watch *watch, double seconds, double waited, const an_loader_stats *now,
                       an_starvation *out)
{
    watch->seconds += seconds;
    watch->waited += waited;
    if (watch->seconds < watch->period)
        return false;
    bool warm = watch->warm;
    out->seconds = watch->seconds;
    out->waited = watch->waited;
    out->loader = counted(now, &watch->before);
    out->held = 0;
    *watch = (an_starvation_watch){.period = watch->period, .before = *now, .warm = true};
    return warm && an_starvation_found(out);
}

double an_starvation_jpegs(const an_dataset *dataset)
{
    enum { LOOKED_AT = 16 };
    uint64_t count = an_dataset_count(dataset);
    uint64_t looked = count < LOOKED_AT ? count : LOOKED_AT, jpegs = 0;
    for (uint64_t i = 0; i < looked; i++) {
        an_record record;
        int rc = an_dataset_record(dataset, count / looked * i, &record);
        jpegs += !rc && record.header.codec == AN_CODEC_JPEG; /* the loader tells of a record that is damaged */
    }
    return looked ? (double)jpegs / (double)looked : 0;
}
