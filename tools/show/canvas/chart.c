#include "tools/show/canvas/chart.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define LEFT 56.0
#define RIGHT 12.0
#define TITLE 24.0
#define LEGEND 18.0
#define BOTTOM 38.0
#define TICKS 5        /* about as many */
#define TICK_ROOM 90.0 /* along x */

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

/* The range of y, never empty: from zero up, or whole powers of ten. */
static void ranges_round(plot *p)
{
    if (p->x_min > p->x_max) {
        p->x_min = p->y_min = 0;
        p->x_max = p->y_max = 1;
    }
    if (p->chart->logarithmic) {
        p->y_min = floor(p->y_min - 0.01);
        p->y_max = ceil(p->y_max + 0.01);
    } else {
        p->y_min = fmin(0, p->y_min);
        p->y_max = fmax(p->y_max * 1.05, p->chart->least_top);
        if (p->y_max <= p->y_min)
            p->y_max = p->y_min + 1;
    }
    p->x_min = fmin(0, p->x_min);
    if (p->x_max <= p->x_min)
        p->x_max = p->x_min + 1;
}

/* 1, 2 or 5 times a power of ten, so that about wanted of them fill the range. */
static double tick_step(double range, double wanted)
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

static void y_tick(const plot *p, double value)
{
    char text[32];
    double y = to_y(p, value), shown = p->chart->logarithmic ? pow(10, value) : fabs(value) < 1e-12 ? 0 : value;
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the charts' own constants */
    snprintf(text, sizeof(text), p->chart->y_format, shown);
#pragma GCC diagnostic pop
    an_canvas_line(p->canvas, (an_point[]){{p->left, y}, {p->right, y}}, 2, AN_COLOUR_FAINT, 1, false);
    an_canvas_text(p->canvas, text,
                   &(an_text_style){p->left - 6, y + 3.5, LEFT - 8, 9.5, AN_ALIGN_RIGHT, AN_COLOUR_MUTED, false});
}

static void axes_draw(const plot *p)
{
    char text[32];
    double step = p->chart->logarithmic ? ceil((p->y_max - p->y_min) / TICKS) : tick_step(p->y_max - p->y_min, TICKS);
    double first = ceil(p->y_min / step);
    for (int i = 0; (first + i) * step <= p->y_max + step * 1e-6; i++)
        y_tick(p, (first + i) * step);
    step = tick_step(p->x_max - p->x_min, fmax(2, (p->right - p->left) / TICK_ROOM));
    first = ceil(p->x_min / step);
    for (int i = 0; (first + i) * step <= p->x_max + step * 1e-6; i++) {
        double x = (first + i) * step;
        snprintf(text, sizeof(text), "%g", fabs(x) < 1e-12 ? 0 : x);
        an_canvas_line(p->canvas, (an_point[]){{to_x(p, x), p->bottom}, {to_x(p, x), p->bottom + 4}}, 2,
                       AN_COLOUR_MUTED, 1, false);
        an_canvas_text(p->canvas, text,
                       &(an_text_style){to_x(p, x), p->bottom + 15, 0, 9.5, AN_ALIGN_CENTRE, AN_COLOUR_MUTED, false});
    }
    an_canvas_line(p->canvas, (an_point[]){{p->left, p->bottom}, {p->right, p->bottom}}, 2, AN_COLOUR_MUTED, 1, false);
    an_canvas_text(
        p->canvas, p->chart->x_label,
        &(an_text_style){(p->left + p->right) / 2, p->bottom + 30, 0, 10, AN_ALIGN_CENTRE, AN_COLOUR_MUTED, false});
}

static void series_draw(const plot *p, const an_series *s)
{
    an_point *points = malloc(((size_t)s->count + 1) * sizeof(*points));
    int count = 0;
    for (int i = 0; points && i < s->count; i++)
        if (usable(p->chart, &s->points[i]))
            points[count++] = (an_point){to_x(p, s->points[i].x), to_y(p, height_of(p->chart, s->points[i].y))};
    if (count > 1)
        an_canvas_line(p->canvas, points, count, s->colour, s->dashed ? 1.3 : 1.8, s->dashed);
    for (int i = 0; i < count && (s->dashed || count == 1); i++)
        an_canvas_dot(p->canvas, points[i].x, points[i].y, 2.6, s->colour);
    free(points);
}

static bool has_legend(const an_chart *chart)
{
    for (int i = 0; i < chart->count; i++)
        if (chart->series[i].name)
            return true;
    return false;
}

/* Each entry gets an equal share of the line. */
static void legend_draw(const plot *p, double x, double y, double width)
{
    int named = 0;
    for (int i = 0; i < p->chart->count; i++)
        named += p->chart->series[i].name != NULL;
    double share = width / named;
    for (int i = 0; i < p->chart->count; i++) {
        const an_series *s = &p->chart->series[i];
        if (!s->name)
            continue;
        an_canvas_line(p->canvas, (an_point[]){{x, y - 3.5}, {x + 18, y - 3.5}}, 2, s->colour, 2, s->dashed);
        if (s->dashed)
            an_canvas_dot(p->canvas, x + 9, y - 3.5, 2.6, s->colour);
        an_canvas_text(p->canvas, s->name,
                       &(an_text_style){x + 23, y, share - 35, 10, AN_ALIGN_LEFT, AN_COLOUR_INK, false});
        x += fmin(share, 23 + an_canvas_text_width(p->canvas, s->name, 10, false) + 20);
    }
}

void an_chart_draw(an_canvas *canvas, const an_chart *chart, double x, double y, double width, double height)
{
    bool legend = has_legend(chart);
    plot p = {.canvas = canvas,
              .chart = chart,
              .left = x + LEFT,
              .right = x + width - RIGHT,
              .top = y + TITLE + (legend ? LEGEND : 0) + 4,
              .bottom = y + height - BOTTOM};
    ranges_find(&p);
    ranges_round(&p);
    an_canvas_text(canvas, chart->title,
                   &(an_text_style){x, y + 14, width - 8, 12.5, AN_ALIGN_LEFT, AN_COLOUR_INK, true});
    if (legend)
        legend_draw(&p, p.left, y + TITLE + 9, p.right - p.left);
    axes_draw(&p);
    for (int i = 0; i < chart->count; i++)
        series_draw(&p, &chart->series[i]);
}
