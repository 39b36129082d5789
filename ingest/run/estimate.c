#include "ingest/run/estimate.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/text/utf8.h"
#include "ingest/run/setup_private.h"

#define SAMPLE 256u
#define SECONDS 5.0      /* longest time spent on the sample */
#define PAGE 4096u       /* LMDB: a large value takes whole pages */
#define INLINE_MAX 2000u /* smaller ones share a page */
#define NODE 32u
#define SUMS_BYTES 72 /* for each pixel: sums for the statistics, with pages of earlier versions */

typedef struct {
    uint64_t tried, bad, space, payload;
    double seconds;
    char first_bad[AN_REASON_MAX];
} sample;

static uint64_t space_of(uint64_t record)
{
    return record > INLINE_MAX ? (record + 16 + PAGE - 1) / PAGE * PAGE : record + NODE;
}

static void describe_bad(const an_item *item, const char *reason, sample *out)
{
    const char *name = (const char *)item->name.data;
    an_shown shown_name = an_shown_make_sized(name, an_utf8_cut(name, strlen(name), 150));
    an_shown shown_reason = an_shown_make_sized(reason, an_utf8_cut(reason, strlen(reason), 200));
    snprintf(out->first_bad, sizeof(out->first_bad), "%.190s: %.200s", shown_name.text, shown_reason.text);
}

static int try_item(an_recorder *recorder, const an_item *item, uint64_t number, an_recording *made, sample *out)
{
    int rc = an_recorder_make(recorder, item, number, made);
    if (rc)
        return rc;
    out->tried++;
    if (made->rejected && !out->bad++)
        describe_bad(item, made->reason, out);
    if (made->rejected)
        return AN_OK;
    out->payload += made->payload.size;
    out->space += space_of(made->payload.size + AN_RECORD_HEADER_SIZE);
    return AN_OK;
}

/* Try items that are evenly spread over the source. */
static int try_items(an_source *source, an_recorder *recorder, sample *out)
{
    an_item item = {0};
    an_recording made = {0};
    uint64_t step = source->items / SAMPLE + 1, start = an_clock_ns();
    int rc = AN_OK;
    for (uint64_t i = 0; i < source->items && !rc && an_clock_seconds_since(start) < SECONDS; i += step) {
        rc = an_source_next(source, &item);
        if (!rc)
            rc = try_item(recorder, &item, i, &made, out);
        if (!rc && i + step < source->items)
            rc = an_source_skip(source, step - 1);
    }
    out->seconds = an_clock_seconds_since(start);
    an_item_free(&item);
    an_buffer_free(&made.payload);
    return rc;
}

static int describe(const an_setup *setup, const sample *s, an_buffer *out)
{
    const an_source *source = setup->source;
    double items = (double)source->items, good = s->tried ? (double)(s->tried - s->bad) / (double)s->tried : 0;
    double scale = s->tried ? items / (double)s->tried : 0;
    double side = setup->pipeline.recorder.picture.side;
    int rc = an_buffer_printf(out,
                              "source   %s: %llu inputs, %.1f MB, %u classes\n"
                              "dataset  about %.0f records, %.1f MB payload, data.mdb %.1f MB\n"
                              "time     about %.0f s with %d threads (%.0f images/s)\n",
                              source->kind, (unsigned long long)source->items, (double)source->bytes / 1e6,
                              source->classes.count, items * good, (double)s->payload * scale / 1e6,
                              ((double)s->space * scale + SUMS_BYTES * side * side) / 1e6,
                              s->seconds * scale / setup->pipeline.threads, setup->pipeline.threads,
                              s->seconds > 0 ? (double)s->tried / s->seconds * setup->pipeline.threads : 0);
    if (!rc && s->bad)
        rc = an_buffer_printf(out, "unusable %llu of %llu tried, such as %s\n", (unsigned long long)s->bad,
                              (unsigned long long)s->tried, s->first_bad);
    return rc;
}

int an_ingest_estimate(const an_ingest_config *config, const char *source, an_buffer *out)
{
    an_setup setup;
    sample s = {0};
    an_recorder *recorder = NULL;
    int rc = an_setup_options(&setup, config);
    if (!rc)
        rc = an_setup_source(&setup, config, source);
    if (!rc)
        an_setup_show_notes(&setup);
    if (!rc && !setup.source->items)
        rc = an_error(AN_EINVAL, "--dry-run: a stream can be read only once");
    if (!rc)
        rc = an_recorder_create(&recorder, &setup.pipeline.recorder);
    if (!rc)
        rc = try_items(setup.source, recorder, &s);
    if (!rc)
        rc = describe(&setup, &s, out);
    an_recorder_free(recorder);
    an_setup_free(&setup);
    return rc;
}
