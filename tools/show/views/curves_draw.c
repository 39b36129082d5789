#include <stdlib.h>

#include "base/error.h"
#include "tools/show/canvas/chart.h"
#include "tools/show/content/history.h"

#define MARGIN 24.0
#define TOP 52.0
#define WIDTH 1000.0
#define LARGE 380.0
#define SMALL 230.0

static an_series series_of(const an_history *run, an_curve_kind kind, an_colour colour, const char *name, bool dashed)
{
    return (an_series){name, colour, dashed, run->curves[kind].points, run->curves[kind].count};
}

/* Two curves of every run. The legend names each run, and says once what dashed lines are. */
static void runs_chart(an_canvas *c, const an_history *runs, int count, an_series *space, const an_curve_kind kinds[2],
                       an_chart chart, bool named, const double area[4])
{
    int filled = 0;
    bool explained = false;
    for (int i = 0; i < count; i++)
        space[filled++] = series_of(&runs[i], kinds[0], an_palette_series(i), named ? runs[i].name : NULL, false);
    for (int i = 0; i < count && kinds[1] != AN_CURVES; i++) {
        bool here = runs[i].curves[kinds[1]].count > 0;
        space[filled++] = series_of(&runs[i], kinds[1], an_palette_series(i),
                                    named && here && !explained ? "dashed: validation" : NULL, true);
        explained = explained || here;
    }
    chart.series = space;
    chart.count = filled;
    an_chart_draw(c, &chart, area[0], area[1], area[2], area[3]);
}

int an_curves_draw(an_canvas **out, an_canvas_kind kind, const an_history *runs, int count)
{
    static const an_curve_kind kinds[][2] = {{AN_CURVE_ERROR, AN_CURVE_VALIDATION_ERROR},
                                             {AN_CURVE_LOSS, AN_CURVE_VALIDATION_LOSS},
                                             {AN_CURVE_RATE, AN_CURVES},
                                             {AN_CURVE_WAIT, AN_CURVES}};
    static const an_chart charts[] = {
        {.title = "Top-1 error", .x_label = "epochs", .y_format = "%g %%"},
        {.title = "Loss (cross entropy)", .x_label = "epochs", .y_format = "%g"},
        {.title = "Learning rate", .x_label = "epochs", .y_format = "%g", .logarithmic = true},
        {.title = "Time spent waiting for data", .x_label = "epochs", .y_format = "%g %%", .least_top = 5},
    };
    double third = (WIDTH - 2 * MARGIN) / 3;
    an_series *space = calloc(2 * (size_t)count, sizeof(*space));
    int rc = space ? an_canvas_create(out, kind, WIDTH, TOP + LARGE + SMALL + MARGIN, "Training curves")
                   : an_error(AN_ENOMEM, "out of memory for curves");
    if (!rc) {
        an_canvas_text(*out, "How training went",
                       &(an_text_style){MARGIN, 34, 0, 17, AN_ALIGN_LEFT, AN_COLOUR_INK, true});
        runs_chart(*out, runs, count, space, kinds[0], charts[0], true,
                   (double[]){MARGIN, TOP, WIDTH - 2 * MARGIN, LARGE});
        for (int i = 1; i < 4; i++)
            runs_chart(*out, runs, count, space, kinds[i], charts[i], false,
                       (double[]){MARGIN + third * (i - 1), TOP + LARGE + 8, third, SMALL});
    }
    free(space);
    return rc;
}

int an_curves_chart(an_canvas **out, an_canvas_kind kind, const an_history *run, const an_curve_kind kinds[2],
                    const char *title, const char *y_format, bool logarithmic, double least_top)
{
    bool both = kinds[1] != AN_CURVES && run->curves[kinds[1]].count > 0;
    an_series series[2] = {series_of(run, kinds[0], an_palette_series(0), both ? "training" : NULL, false)};
    if (both)
        series[1] = series_of(run, kinds[1], an_palette_series(1), "validation", true);
    an_chart chart = {title, "epochs", y_format, logarithmic, least_top, series, both ? 2 : 1};
    int rc = an_canvas_create(out, kind, 480, 290, title);
    if (!rc)
        an_chart_draw(*out, &chart, 0, 4, 480, 282);
    return rc;
}
