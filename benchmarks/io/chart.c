/* Who was busy when: the stages' shares of their time, stacked, over the seconds of one run. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "benchmarks/io/bench_io.h"
#include "tools/show/canvas/chart.h"

#define WIDTH 1000.0
#define MARGIN 24.0
#define LEFT 132.0 /* of the bands */
#define TOP 64.0
#define BAND 90.0
#define LEGEND 46.0 /* below a band, with the gap to the next one */
#define SCALE 40.0  /* of the seconds, below the last band */
#define STATES_MAX 3

typedef struct {
    const char *name;
    an_colour colour;
} state;

/* A band: one kind of thread, its states from the bottom up, and how much of each there was between two samples. */
typedef struct {
    const char *name;
    state states[STATES_MAX];
    void (*shares)(const an_loader_stats *before, const an_loader_stats *after, double time, double *out);
} band;

static void worker_shares(const an_loader_stats *s, const an_loader_stats *t, double time, double *out)
{
    out[0] = (double)(t->worker_busy_ns - s->worker_busy_ns) / time / t->threads;
    out[1] = (double)(t->worker_wait_read_ns - s->worker_wait_read_ns) / time / t->threads;
    out[2] = (double)(t->worker_wait_slot_ns - s->worker_wait_slot_ns) / time / t->threads;
}

static void reader_shares(const an_loader_stats *s, const an_loader_stats *t, double time, double *out)
{
    out[0] = (double)(t->reader_wait_ns - s->reader_wait_ns) / time;
    out[1] = (double)(t->reader_blocked_ns - s->reader_blocked_ns) / time;
}

static void consumer_shares(const an_loader_stats *s, const an_loader_stats *t, double time, double *out)
{
    out[0] = (double)(t->consumer_wait_ns - s->consumer_wait_ns) / time;
}

#define GREEN ((an_colour)(AN_COLOUR_SERIES + 2))
#define ORANGE ((an_colour)(AN_COLOUR_SERIES + 1))
#define RED ((an_colour)(AN_COLOUR_SERIES + 4))

static const band bands[] = {
    {"workers", {{"busy", GREEN}, {"wait for records", ORANGE}, {"wait for a slot", AN_COLOUR_WRONG}}, worker_shares},
    {"reading", {{"wait for the disk", ORANGE}, {"wait for free buffers", AN_COLOUR_WRONG}}, reader_shares},
    {"consumer", {{"waits for a batch", RED}}, consumer_shares},
};
#define BANDS (sizeof(bands) / sizeof(bands[0]))

typedef struct {
    an_canvas *canvas;
    const bench_full *full;
    double seconds;
    an_point *outline; /* room for two points a sample and two more */
} drawing;

static double to_x(const drawing *d, double at)
{
    return LEFT + at / d->seconds * (WIDTH - MARGIN - LEFT);
}

/* The states up to number last together, as one area from the bottom of the band, which is at y. */
static void area_draw(const drawing *d, const band *b, int last, double y)
{
    int count = 0;
    for (size_t i = 1; i < d->full->sample_count; i++) {
        const bench_sample *s = &d->full->samples[i - 1], *t = &d->full->samples[i];
        double share[STATES_MAX] = {0}, sum = 0, time = (double)(t->stats.elapsed_ns - s->stats.elapsed_ns);
        if (time > 0)
            b->shares(&s->stats, &t->stats, time, share);
        for (int k = 0; k <= last; k++)
            sum += share[k];
        double height = y - BAND * fmin(fmax(sum, 0), 1);
        d->outline[count++] = (an_point){to_x(d, s->at), height};
        d->outline[count++] = (an_point){to_x(d, t->at), height};
    }
    d->outline[count] = (an_point){d->outline[count - 1].x, y};
    d->outline[count + 1] = (an_point){d->outline[0].x, y};
    an_canvas_fill(d->canvas, d->outline, count + 2, b->states[last].colour, 1);
}

static void legend_draw(const drawing *d, const band *b, double y)
{
    double x = LEFT;
    for (int k = 0; k < STATES_MAX && b->states[k].name; k++) {
        const state *s = &b->states[k];
        an_canvas_rectangle(d->canvas, x, y - 9, 10, 10, s->colour);
        an_canvas_text(d->canvas, s->name, &(an_text_style){x + 15, y, 0, 10, AN_ALIGN_LEFT, AN_COLOUR_INK, false});
        x += 15 + an_canvas_text_width(d->canvas, s->name, 10, false) + 22;
    }
}

static void band_draw(const drawing *d, const band *b, double top)
{
    double bottom = top + BAND;
    int last = 0;
    while (last + 1 < STATES_MAX && b->states[last + 1].name)
        last++;
    an_canvas_rectangle(d->canvas, LEFT, top, WIDTH - MARGIN - LEFT, BAND, AN_COLOUR_PANEL);
    for (; last >= 0; last--) /* the larger areas lie behind the smaller ones */
        area_draw(d, b, last, bottom);
    an_canvas_text(d->canvas, b->name,
                   &(an_text_style){MARGIN, top + BAND / 2 + 4, 0, 12.5, AN_ALIGN_LEFT, AN_COLOUR_INK, true});
    an_canvas_text(d->canvas, "100 %",
                   &(an_text_style){LEFT - 6, top + 8, 0, 9.5, AN_ALIGN_RIGHT, AN_COLOUR_MUTED, false});
    an_canvas_text(d->canvas, "0 %",
                   &(an_text_style){LEFT - 6, bottom + 2, 0, 9.5, AN_ALIGN_RIGHT, AN_COLOUR_MUTED, false});
    an_canvas_line(d->canvas, (an_point[]){{LEFT, bottom}, {WIDTH - MARGIN, bottom}}, 2, AN_COLOUR_MUTED, 1);
    legend_draw(d, b, bottom + 17);
}

static void scale_draw(const drawing *d, double y)
{
    double step = an_chart_tick_step(d->seconds, 8);
    for (int i = 0; i * step <= d->seconds; i++) {
        char text[32];
        double x = to_x(d, i * step);
        snprintf(text, sizeof text, "%.4g s", i * step);
        an_canvas_line(d->canvas, (an_point[]){{x, y}, {x, y + 4}}, 2, AN_COLOUR_MUTED, 1);
        an_canvas_text(d->canvas, text, &(an_text_style){x, y + 16, 0, 9.5, AN_ALIGN_CENTRE, AN_COLOUR_MUTED, false});
    }
}

static void draw(const drawing *d)
{
    char text[160];
    const bench_full *full = d->full;
    snprintf(text, sizeof text, "%d threads, engine %s, %.0f images/s", full->result.threads,
             an_reader_engine_name(full->engine), bench_rate(&full->result));
    an_canvas_text(d->canvas, "Who was busy when",
                   &(an_text_style){MARGIN, 32, 0, 17, AN_ALIGN_LEFT, AN_COLOUR_INK, true});
    an_canvas_text(d->canvas, text, &(an_text_style){MARGIN, 51, 0, 11.5, AN_ALIGN_LEFT, AN_COLOUR_MUTED, false});
    for (size_t i = 0; i < BANDS; i++)
        band_draw(d, &bands[i], TOP + (double)i * (BAND + LEGEND));
    scale_draw(d, TOP + (double)BANDS * (BAND + LEGEND) - LEGEND + 24);
}

int bench_write_chart(const char *path, const bench_full *full)
{
    an_canvas_kind kind;
    int rc = an_canvas_kind_of(path, &kind);
    if (rc)
        return an_error_prefix(rc, "--chart");
    if (full->sample_count < 2)
        return an_error(AN_EINVAL, "--chart '%s': the run was too short to draw; measure longer", path);
    drawing d = {.full = full, .seconds = full->samples[full->sample_count - 1].at};
    d.outline = malloc((2 * full->sample_count + 2) * sizeof(*d.outline));
    if (!d.outline)
        return an_error(AN_ENOMEM, "out of memory for '%s'", path);
    rc = an_canvas_create(&d.canvas, kind, WIDTH, TOP + BANDS * (BAND + LEGEND) + SCALE, "Who was busy when");
    if (!rc) {
        draw(&d);
        rc = an_canvas_save(d.canvas, path);
    }
    an_canvas_free(d.canvas);
    free(d.outline);
    return rc;
}
