/* Who was busy when: the stages' shares of their time, stacked, over the seconds of one run. */
#include <cairo-svg.h>
#include <cairo.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/png.h"
#include "benchmarks/io/bench_io.h"

#define WIDTH 960.0
#define LEFT 120.0
#define RIGHT 20.0
#define BAND 90.0
#define GAP 36.0
#define TOP 50.0
#define BANDS 3
#define HEIGHT (TOP + BANDS * (BAND + GAP) + 20)

typedef struct {
    const char *name;
    double red, green, blue;
} shade;

/* A band: one kind of thread, its states from the bottom up. */
typedef struct {
    const char *name;
    shade states[3];
} band;

static const band bands[BANDS] = {
    {"workers",
     {{"busy", 0.20, 0.55, 0.35}, {"wait for records", 0.85, 0.55, 0.20}, {"wait for a slot", 0.75, 0.80, 0.90}}},
    {"reading", {{"wait for the disk", 0.85, 0.55, 0.20}, {"wait for free buffers", 0.75, 0.80, 0.90}}},
    {"consumer", {{"waits for a batch", 0.80, 0.25, 0.25}}},
};

/* Shares of the time between two samples for one band. */
static void shares(const bench_sample *a, const bench_sample *b, int which, double out[3])
{
    const an_loader_stats *s = &a->stats, *t = &b->stats;
    double time = (double)(t->elapsed_ns - s->elapsed_ns);
    memset(out, 0, 3 * sizeof *out);
    if (which == 0) {
        out[0] = (double)(t->worker_busy_ns - s->worker_busy_ns) / time / t->threads;
        out[1] = (double)(t->worker_wait_read_ns - s->worker_wait_read_ns) / time / t->threads;
        out[2] = (double)(t->worker_wait_slot_ns - s->worker_wait_slot_ns) / time / t->threads;
    } else if (which == 1) {
        out[0] = (double)(t->reader_wait_ns - s->reader_wait_ns) / time;
        out[1] = (double)(t->reader_blocked_ns - s->reader_blocked_ns) / time;
    } else {
        out[0] = (double)(t->consumer_wait_ns - s->consumer_wait_ns) / time;
    }
}

static void text(cairo_t *c, double x, double y, double size, const char *string)
{
    cairo_set_source_rgb(c, 0.15, 0.15, 0.15);
    cairo_set_font_size(c, size);
    cairo_move_to(c, x, y);
    cairo_show_text(c, string);
}

static void draw_legend(cairo_t *c, const band *b, double y)
{
    double x = LEFT;
    for (int k = 0; k < 3 && b->states[k].name; k++) {
        cairo_text_extents_t extents;
        cairo_set_source_rgb(c, b->states[k].red, b->states[k].green, b->states[k].blue);
        cairo_rectangle(c, x, y - 10, 10, 10);
        cairo_fill(c);
        text(c, x + 15, y, 11, b->states[k].name);
        cairo_text_extents(c, b->states[k].name, &extents);
        x += 15 + extents.x_advance + 25;
    }
}

static void draw_band(cairo_t *c, const bench_full *full, int which, double y)
{
    double total = full->samples[full->sample_count - 1].at, scale = (WIDTH - LEFT - RIGHT) / total;
    for (size_t i = 1; i < full->sample_count; i++) {
        const bench_sample *a = &full->samples[i - 1], *b = &full->samples[i];
        double part[3], bottom = y + BAND;
        shares(a, b, which, part);
        for (int k = 0; k < 3; k++) {
            const shade *s = &bands[which].states[k];
            double height = fmin(part[k] * BAND, bottom - y);
            cairo_set_source_rgb(c, s->red, s->green, s->blue);
            cairo_rectangle(c, LEFT + a->at * scale, bottom - height, (b->at - a->at) * scale + 0.3, height);
            cairo_fill(c);
            bottom -= height;
        }
    }
    cairo_set_source_rgb(c, 0.4, 0.4, 0.4);
    cairo_set_line_width(c, 1);
    cairo_rectangle(c, LEFT, y, WIDTH - LEFT - RIGHT, BAND);
    cairo_stroke(c);
    text(c, 20, y + BAND / 2, 14, bands[which].name);
    draw_legend(c, &bands[which], y + BAND + 16);
}

static void draw(cairo_t *c, const bench_full *full)
{
    char title[160], end[32];
    cairo_set_source_rgb(c, 1, 1, 1);
    cairo_paint(c);
    cairo_select_font_face(c, "sans-serif", CAIRO_FONT_SLANT_NORMAL, CAIRO_FONT_WEIGHT_NORMAL);
    snprintf(title, sizeof title, "stage occupancy: %d threads, engine %s, %.0f images/s", full->result.threads,
             an_reader_engine_name(full->engine), bench_rate(&full->result));
    text(c, LEFT, 28, 16, title);
    for (int i = 0; i < BANDS; i++)
        draw_band(c, full, i, TOP + i * (BAND + GAP));
    snprintf(end, sizeof end, "%.1f s", full->samples[full->sample_count - 1].at);
    text(c, WIDTH - RIGHT - 40, HEIGHT - 14, 11, end);
    text(c, LEFT, HEIGHT - 14, 11, "0 s");
}

static int write_png(cairo_surface_t *surface, const char *path)
{
    an_buffer png = {0};
    cairo_surface_flush(surface);
    int rc = an_png_write(
        cairo_image_surface_get_data(surface), AN_PNG_BGRX, (uint32_t)cairo_image_surface_get_width(surface),
        (uint32_t)cairo_image_surface_get_height(surface), (size_t)cairo_image_surface_get_stride(surface), &png);
    if (!rc)
        rc = an_file_write_atomic(path, png.data, png.size);
    an_buffer_free(&png);
    return rc;
}

static int finish(cairo_t *c, cairo_surface_t *surface, const char *path, bool png)
{
    int rc = AN_OK;
    cairo_status_t status = cairo_status(c);
    cairo_destroy(c);
    if (status == CAIRO_STATUS_SUCCESS && png)
        rc = write_png(surface, path);
    cairo_surface_finish(surface);
    if (status == CAIRO_STATUS_SUCCESS)
        status = cairo_surface_status(surface);
    cairo_surface_destroy(surface);
    if (status != CAIRO_STATUS_SUCCESS)
        return an_error(AN_EIO, "cannot write '%s': %s", path, cairo_status_to_string(status));
    return rc;
}

int bench_write_chart(const char *path, const bench_full *full)
{
    const char *ending = strrchr(path, '.');
    bool png = ending && strcmp(ending, ".png") == 0;
    if (!png && (!ending || strcmp(ending, ".svg") != 0))
        return an_error(AN_EINVAL, "--chart '%s': the name must end in .svg or .png", path);
    if (full->sample_count < 2)
        return an_error(AN_EINVAL, "--chart '%s': the run was too short to draw; measure longer", path);
    cairo_surface_t *surface = png ? cairo_image_surface_create(CAIRO_FORMAT_RGB24, (int)WIDTH, (int)HEIGHT)
                                   : cairo_svg_surface_create(path, WIDTH, HEIGHT);
    cairo_t *c = cairo_create(surface);
    draw(c, full);
    return finish(c, surface, path, png);
}
