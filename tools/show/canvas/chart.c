#include "tools/show/canvas/chart.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "tools/show/canvas/canvas_private.h"

#define LEFT 56.0
#define RIGHT 12.0
#define TITLE 26.0
#define BOTTOM 38.0
#define TICK_ROOM 90.0   /* along x */
#define TICK_HEIGHT 36.0 /* along y */
#define DECADES 6.0      /* of a logarithmic axis, at most */
#define DOT_ROOM 12.0    /* from one dot to the next */

typedef struct {
    an_canvas *canvas;
    const an_chart *chart;
    double left, top, right, bottom;   /* of the area of the lines */
    double x_min, x_max, y_min, y_max; /* y as drawn: logarithm of it where the chart says so */
} plot;

static bool usable(const an_chart *chart, const an_point *p)
{
    return isfinite(p->x) && isfinite(p->y) && (!chart->logarithmic || p->y > 0);
}

static double height_of(const an_chart *chart, double y)
{
    return chart->logarithmic ? log10(y) : y;
}

static void ranges_find(plot *p)
{
    const an_chart *chart = p->chart;
    p->x_min = p->y_min = INFINITY;
    p->x_max = p->y_max = -INFINITY;
    for (int i = 0; i < chart->count; i++)
        for (int k = 0; k < chart->series[i].count; k++) {
            const an_point *at = &chart->series[i].points[k];
            if (!usable(chart, at))
                continue;
            double y = height_of(chart, at->y);
            p->x_min = fmin(p->x_min, at->x);
            p->x_max = fmax(p->x_max, at->x);
            p->y_min = fmin(p->y_min, y);
            p->y_max = fmax(p->y_max, y);
        }
}

/* A little room above and below: a decade in all at least, and a power of ten within, which gets its number. */
static void decades_round(plot *p)
{
    double around = fmax(0.15, (1 - (p->y_max - p->y_min)) / 2);
    p->y_max += around;
    p->y_min = fmax(p->y_min - around, p->y_max - DECADES);
    if (floor(p->y_max) < p->y_min) {
        p->y_min = floor(p->y_min);
        p->y_max = ceil(p->y_max);
    }
}

/* Never empty: y from zero up, x too. */
static void ranges_round(plot *p)
{
    if (p->x_min > p->x_max) {
        p->x_min = p->y_min = 0;
        p->x_max = p->y_max = 1;
    }
    if (p->chart->logarithmic) {
        decades_round(p);
    } else {
        p->y_min = fmin(0, p->y_min);
        p->y_max = fmax(p->y_max * 1.05, p->chart->least_top);
        if (p->y_max <= p->y_min)
            p->y_max = p->y_min + 1;
    }
    p->x_min = fmin(0, p->x_min);
    p->x_max = fmax(p->x_max, p->chart->least_end);
    if (p->x_max <= p->x_min)
        p->x_max = p->x_min + 1;
}

double an_chart_tick_step(double range, double wanted)
{
    double raw = range / wanted, power = pow(10, floor(log10(raw))), rest = raw / power;
    return power * (rest <= 1 ? 1 : rest <= 2 ? 2 : rest <= 5 ? 5 : 10);
}

static double to_x(const plot *p, double x)
{
    return p->left + (x - p->x_min) / (p->x_max - p->x_min) * (p->right - p->left);
}

static double to_y(const plot *p, double y)
{
    return p->bottom - (y - p->y_min) / (p->y_max - p->y_min) * (p->bottom - p->top);
}

static void y_tick(const plot *p, double value, const char *text)
{
    double y = to_y(p, value);
    an_canvas_line(p->canvas, (an_point[]){{p->left, y}, {p->right, y}}, 2, AN_COLOUR_FAINT, 1);
    an_canvas_text(p->canvas, text,
                   &(an_text_style){p->left - 6, y + 3.5, LEFT - 8, 9.5, AN_ALIGN_RIGHT, AN_COLOUR_MUTED, false});
}

static void even_ticks(const plot *p)
{
    char text[32];
    double step = an_chart_tick_step(p->y_max - p->y_min, fmax(2, (p->bottom - p->top) / TICK_HEIGHT));
    double first = ceil(p->y_min / step);
    for (int i = 0; (first + i) * step <= p->y_max + step * 1e-6; i++) {
        double value = (first + i) * step;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the charts' own constants */
        snprintf(text, sizeof(text), p->chart->y_format, fabs(value) < 1e-12 ? 0 : value);
#pragma GCC diagnostic pop
        y_tick(p, value, text);
    }
}

/* A line and a number at each power of ten, and short marks at 2, 3 ... 9 times it. */
static void decade_ticks(const plot *p)
{
    int last = (int)floor(p->y_max);
    for (int decade = (int)floor(p->y_min); decade <= last; decade++) {
        char text[32];
        if (abs(decade) < 5)
            snprintf(text, sizeof(text), "%g", pow(10, decade));
        else
            snprintf(text, sizeof(text), "1e%d", decade);
        if (decade >= p->y_min)
            y_tick(p, decade, text);
        for (int i = 2; i < 10; i++) {
            double value = decade + log10(i), y = to_y(p, value);
            if (value >= p->y_min && value <= p->y_max)
                an_canvas_line(p->canvas, (an_point[]){{p->left - 3, y}, {p->left, y}}, 2, AN_COLOUR_MUTED, 0.8);
        }
    }
}

static void axes_draw(const plot *p)
{
    char text[32];
    if (p->chart->logarithmic)
        decade_ticks(p);
    else
        even_ticks(p);
    double step = an_chart_tick_step(p->x_max - p->x_min, fmax(2, (p->right - p->left) / TICK_ROOM));
    double first = ceil(p->x_min / step);
    for (int i = 0; (first + i) * step <= p->x_max + step * 1e-6; i++) {
        double x = (first + i) * step;
        snprintf(text, sizeof(text), "%g", fabs(x) < 1e-12 ? 0 : x);
        an_canvas_line(p->canvas, (an_point[]){{to_x(p, x), p->bottom}, {to_x(p, x), p->bottom + 4}}, 2,
                       AN_COLOUR_MUTED, 1);
        an_canvas_text(p->canvas, text,
                       &(an_text_style){to_x(p, x), p->bottom + 15, 0, 9.5, AN_ALIGN_CENTRE, AN_COLOUR_MUTED, false});
    }
    an_canvas_line(p->canvas, (an_point[]){{p->left, p->bottom}, {p->right, p->bottom}}, 2, AN_COLOUR_MUTED, 1);
    an_canvas_text(
        p->canvas, p->chart->x_label,
        &(an_text_style){(p->left + p->right) / 2, p->bottom + 30, 0, 10, AN_ALIGN_CENTRE, AN_COLOUR_MUTED, false});
}

void an_chart_smooth(const an_point *in, int count, double width, an_point *out)
{
    double sum = 0;
    int first = 0, end = 0; /* of the points that are averaged */
    for (int i = 0; i < count; i++) {
        for (; end < count && in[end].x <= in[i].x + width / 2; end++)
            sum += in[end].y;
        for (; in[first].x < in[i].x - width / 2; first++)
            sum -= in[first].y;
        out[i] = (an_point){in[i].x, sum / (end - first)};
    }
}

int an_chart_steps(const an_point *in, int count, an_point *out)
{
    int filled = 0;
    for (int i = 0; i < count; i++) {
        out[filled++] = (an_point){i ? in[i - 1].x : 0, in[i].y};
        out[filled++] = in[i];
    }
    return filled;
}

/* Draw a line through points of the data; those that cannot be drawn are left out. Overwrites points with where they
 * lie on the canvas, and returns how many are left. */
static int line_draw(const plot *p, an_point *points, int count, const an_stroke *stroke)
{
    int left = 0;
    for (int i = 0; i < count; i++) {
        if (!usable(p->chart, &points[i]) || height_of(p->chart, points[i].y) < p->y_min)
            continue;
        double y = height_of(p->chart, points[i].y);
        points[left++] = (an_point){to_x(p, points[i].x), to_y(p, y)};
    }
    if (left > 1)
        an_canvas_stroke(p->canvas, points, left, stroke);
    return left;
}

static void dots_draw(const plot *p, const an_series *s, const an_point *at, int count)
{
    const an_point *last = NULL;
    for (int i = count - 1; i >= 0 && (s->dotted || count == 1); i--)
        if (!last || hypot(last->x - at[i].x, last->y - at[i].y) >= DOT_ROOM) {
            an_mark_draw(p->canvas, s->mark, at[i].x, at[i].y, s->colour);
            last = &at[i];
        }
    if (s->ended && count) {
        an_canvas_dot(p->canvas, at[count - 1].x, at[count - 1].y, 4.5, s->colour);
        an_canvas_dot(p->canvas, at[count - 1].x, at[count - 1].y, 2.5, AN_COLOUR_PAPER);
    }
}

/* room: for twice as many points as the series has. */
static void series_draw(const plot *p, const an_series *s, an_point *room)
{
    int count = s->count;
    if (s->stepping)
        count = an_chart_steps(s->points, s->count, room);
    else
        memcpy(room, s->points, (size_t)count * sizeof(*room));
    if (s->smooth > 0 && count > 1) {
        line_draw(p, room, count, &(an_stroke){s->colour, 1, 0.3, AN_DASH_NONE});
        an_chart_smooth(s->points, count, s->smooth, room);
    }
    count = line_draw(p, room, count, &(an_stroke){s->colour, s->dotted ? 1.3 : 1.8, 1, s->dash});
    dots_draw(p, s, room, count);
}

static void all_series_draw(const plot *p)
{
    int most = 0;
    for (int i = 0; i < p->chart->count; i++)
        most = p->chart->series[i].count > most ? p->chart->series[i].count : most;
    an_point *room = malloc((2 * (size_t)most + 1) * sizeof(*room));
    if (!room) {
        an_canvas_fail(p->canvas, an_error(AN_ENOMEM, "out of memory for a chart"));
        return;
    }
    for (int i = 0; i < p->chart->count; i++)
        if (p->chart->series[i].count)
            series_draw(p, &p->chart->series[i], room);
    free(room);
}

void an_chart_draw(an_canvas *canvas, const an_chart *chart, double x, double y, double width, double height)
{
    plot p = {
        .canvas = canvas, .chart = chart, .left = x + LEFT, .right = x + width - RIGHT, .bottom = y + height - BOTTOM};
    double legend = an_legend_height(canvas, chart->legend, chart->entries, p.right - p.left);
    p.top = y + TITLE + legend + (legend > 0 ? 6 : 2);
    ranges_find(&p);
    ranges_round(&p);
    an_canvas_text(canvas, chart->title,
                   &(an_text_style){x, y + 14, width - 8, 12.5, AN_ALIGN_LEFT, AN_COLOUR_INK, true});
    an_legend_draw(canvas, chart->legend, chart->entries, p.left, y + TITLE - 4, p.right - p.left);
    axes_draw(&p);
    all_series_draw(&p);
}
