#include "tools/show/views/curves_draw.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "tools/show/canvas/chart.h"

#define MARGIN 24.0
#define TOP 52.0
#define WIDTH 1000.0
#define LARGE 380.0
#define SMALL 230.0
#define NAME_MAX_BYTES 256

typedef struct {
    an_curve_kind training, validation; /* AN_CURVES: there is none */
    bool stepping;
    an_chart chart;
} curves_chart;

static const curves_chart charts[AN_CURVES_CHARTS] = {
    {AN_CURVE_ERROR, AN_CURVE_VALIDATION_ERROR, false, {.title = "Top-1 error", .y_format = "%g %%"}},
    {AN_CURVE_TOP5, AN_CURVE_VALIDATION_TOP5, false, {.title = "Top-5 error", .y_format = "%g %%"}},
    {AN_CURVE_LOSS, AN_CURVE_VALIDATION_LOSS, false, {.title = "Loss (cross entropy)", .y_format = "%g"}},
    {AN_CURVE_RATE, AN_CURVES, true, {.title = "Learning rate", .logarithmic = true}},
    {AN_CURVE_WAIT, AN_CURVES, false, {.title = "Time spent waiting for data", .y_format = "%g %%", .least_top = 5}},
};

bool an_curves_has(const an_history *runs, int count, int chart)
{
    if (charts[chart].training != AN_CURVE_TOP5)
        return true;
    for (int i = 0; i < count; i++)
        if (an_history_mean(&runs[i], AN_CURVE_TOP5) > 0 || an_history_mean(&runs[i], AN_CURVE_VALIDATION_TOP5) > 0)
            return true;
    return false;
}

static double longest(const an_history *runs, int count)
{
    double most = 0;
    for (int i = 0; i < count; i++)
        most = fmax(most, runs[i].epochs);
    return most;
}

/* Runs beyond the number of colours repeat them with dashes. */
static an_stroke stroke_of(int run)
{
    static const an_dash dashes[] = {AN_DASH_NONE, AN_DASH_DOTS, AN_DASH_LONG};
    return (an_stroke){an_palette_series(run), 1.8, 1, dashes[run / AN_PALETTE_SERIES % 3]};
}

static an_series training_of(const an_history *run, const curves_chart *chart, int number, double smooth)
{
    const an_curve *curve = &run->curves[chart->training];
    an_stroke stroke = stroke_of(number);
    return (an_series){.colour = stroke.colour,
                       .dash = stroke.dash,
                       .points = curve->points,
                       .count = curve->count,
                       .stepping = chart->stepping,
                       .smooth = chart->stepping ? 0 : smooth};
}

/* Validation sets by name; each has a mark. */
typedef struct {
    const char *names[AN_HISTORY_SETS_MAX];
    int count;
} set_names;

/* A run's validation set number 0 to run->set_count, its curves. */
static const an_curve *set_at(const an_history *run, int number, const char **name)
{
    *name = number ? run->sets[number - 1].name : run->first_set ? run->first_set : "";
    return number ? run->sets[number - 1].curves : run->curves;
}

/* The number of a set, which is added if it is new. Sets for which there is no room share the last one's mark. */
static int set_number(set_names *sets, const char *name)
{
    for (int i = 0; i < sets->count; i++)
        if (strcmp(sets->names[i], name) == 0)
            return i;
    if (sets->count == AN_HISTORY_SETS_MAX)
        return sets->count - 1;
    sets->names[sets->count] = name;
    return sets->count++;
}

/* The sets that some run was validated on. */
static set_names sets_of(const an_history *runs, int count)
{
    set_names sets = {0};
    for (int i = 0; i < count; i++)
        for (int k = 0; k <= runs[i].set_count; k++) {
            const char *name;
            if (set_at(&runs[i], k, &name)[AN_CURVE_VALIDATION_ERROR].count)
                set_number(&sets, name);
        }
    return sets;
}

static an_series validation_of(const an_history *run, const curves_chart *chart, int number, int set, set_names *sets)
{
    const char *name;
    an_series series = training_of(run, chart, number, 0);
    const an_curve *curve = &set_at(run, set, &name)[chart->validation];
    series.points = curve->points;
    series.count = curve->count;
    series.dotted = true;
    series.mark = (an_mark)(set_number(sets, name) % AN_MARKS);
    series.dash = series.dash ? series.dash : AN_DASH_SHORT;
    return series;
}

/* How many curves there are at most. */
static size_t curves_count(const an_history *runs, int count)
{
    size_t curves = 0;
    for (int i = 0; i < count; i++)
        curves += 2 + (size_t)runs[i].set_count;
    return curves;
}

/* The curves of every run. smooth: epochs. */
static void runs_chart(an_canvas *c, const an_history *runs, int count, an_series *space, const curves_chart *from,
                       const an_legend_entry *legend, int entries, double smooth, const double area[4])
{
    set_names sets = sets_of(runs, count);
    an_chart chart = from->chart;
    double most = longest(runs, count);
    chart.x_label = "epochs";
    chart.least_end = most; /* also where the last points were averaged */
    chart.series = space;
    chart.legend = legend;
    chart.entries = entries;
    for (int i = 0; i < count; i++) {
        space[chart.count] = training_of(&runs[i], from, i, smooth);
        space[chart.count++].ended = runs[i].epochs < most;
    }
    for (int i = 0; i < count && from->validation != AN_CURVES; i++)
        for (int k = 0; k <= runs[i].set_count; k++)
            space[chart.count++] = validation_of(&runs[i], from, i, k, &sets);
    an_chart_draw(c, &chart, area[0], area[1], area[2], area[3]);
}

/* What marks are. A run with one set does not name it. names: room for a text of each set. Returns how many entries
 * there are. */
static int legend_sets(const set_names *sets, an_legend_entry *out, char (*names)[NAME_MAX_BYTES])
{
    for (int i = 0; i < sets->count; i++) {
        const char *set = sets->names[i];
        if (sets->count > 1)
            snprintf(names[i], NAME_MAX_BYTES, "validation%s%s", *set ? " on " : "", set);
        else
            snprintf(names[i], NAME_MAX_BYTES, "with dots: validation");
        out[i] = (an_legend_entry){names[i], {AN_COLOUR_MUTED, 1.3, 1, AN_DASH_SHORT}, true, (an_mark)(i % AN_MARKS)};
    }
    return sets->count;
}

/* The runs, and what marks are. Shorter runs than the longest say where they end. Returns how many entries there are.
 */
static int legend_fill(const an_history *runs, int count, an_legend_entry *out, char (*names)[NAME_MAX_BYTES])
{
    double most = longest(runs, count);
    int entries = 0;
    for (int i = 0; i < count; i++) {
        int written = snprintf(names[i], NAME_MAX_BYTES, "%s", runs[i].name);
        if (runs[i].epochs < most && written < NAME_MAX_BYTES)
            snprintf(names[i] + written, (size_t)(NAME_MAX_BYTES - written), " (ends at %.4g)", runs[i].epochs);
        out[entries++] = (an_legend_entry){.name = names[i], .stroke = stroke_of(i)};
    }
    set_names sets = sets_of(runs, count);
    return entries + legend_sets(&sets, out + entries, names + entries);
}

/* The height of a legend is known only when its texts are measured. */
static int legend_measure(const an_legend_entry *legend, int entries, double *height)
{
    an_canvas *canvas = NULL;
    int rc = an_canvas_create(&canvas, AN_CANVAS_PAGE, WIDTH, 1, "");
    if (!rc)
        *height = an_legend_height(canvas, legend, entries, WIDTH - 2 * MARGIN - 68);
    an_canvas_free(canvas);
    return rc;
}

typedef struct {
    an_series *series;
    an_legend_entry *legend;
    char (*names)[NAME_MAX_BYTES];
} room;

static int room_make(room *r, const an_history *runs, int count)
{
    size_t entries = (size_t)count + AN_HISTORY_SETS_MAX;
    *r = (room){calloc(curves_count(runs, count), sizeof(*r->series)), calloc(entries, sizeof(*r->legend)),
                calloc(entries, sizeof(*r->names))};
    return r->series && r->legend && r->names ? AN_OK : an_error(AN_ENOMEM, "out of memory for curves");
}

static void room_free(room *r)
{
    free(r->series);
    free(r->legend);
    free(r->names);
}

/* Three small charts side by side, or four in two rows. */
static void small_draw(an_canvas *c, const an_history *runs, int count, an_series *space, double smooth, double top)
{
    int columns = an_curves_has(runs, count, 1) ? 2 : 3, at = 0;
    double width = (WIDTH - 2 * MARGIN) / columns;
    for (int i = 1; i < AN_CURVES_CHARTS; i++) {
        if (!an_curves_has(runs, count, i))
            continue;
        runs_chart(c, runs, count, space, &charts[i], NULL, 0, smooth,
                   (double[]){MARGIN + width * (at % columns), top + (SMALL + 8) * (at / columns), width, SMALL});
        at++;
    }
}

int an_curves_draw(an_canvas **out, an_canvas_kind kind, const an_history *runs, int count, double smooth)
{
    room r;
    double legend = 0, over = smooth / 100 * longest(runs, count);
    int entries = 0, rows = an_curves_has(runs, count, 1) ? 2 : 1, rc = room_make(&r, runs, count);
    if (!rc) {
        entries = legend_fill(runs, count, r.legend, r.names);
        rc = legend_measure(r.legend, entries, &legend);
    }
    double large = LARGE + legend, height = TOP + large + (SMALL + 8) * rows + MARGIN;
    if (!rc)
        rc = an_canvas_create(out, kind, WIDTH, height, "Training curves");
    if (!rc) {
        an_canvas_text(*out, "How training went",
                       &(an_text_style){MARGIN, 34, 0, 17, AN_ALIGN_LEFT, AN_COLOUR_INK, true});
        runs_chart(*out, runs, count, r.series, &charts[0], r.legend, entries, over,
                   (double[]){MARGIN, TOP, WIDTH - 2 * MARGIN, large});
        small_draw(*out, runs, count, r.series, over, TOP + large + 8);
    }
    room_free(&r);
    return rc;
}

/* Training and validation of one run differ in colour. Returns how many series and legend entries there are. */
static int run_fill(const an_history *run, const curves_chart *from, room *r)
{
    set_names sets = sets_of(run, 1);
    int count = 1;
    r->series[0] = training_of(run, from, 0, AN_CURVES_SMOOTH_USUAL / 100 * run->epochs);
    r->legend[0] = (an_legend_entry){.name = "training", .stroke = stroke_of(0)};
    for (int k = 0; from->validation != AN_CURVES && k <= run->set_count; k++) {
        const char *name;
        if (!set_at(run, k, &name)[from->validation].count)
            continue;
        r->series[count] = validation_of(run, from, 1, k, &sets);
        snprintf(r->names[count], NAME_MAX_BYTES, "validation%s%s", sets.count > 1 ? " on " : "",
                 sets.count > 1 ? name : "");
        r->legend[count] = (an_legend_entry){
            r->names[count], {an_palette_series(1), 1.3, 1, AN_DASH_SHORT}, true, r->series[count].mark};
        count++;
    }
    return count;
}

int an_curves_chart(an_canvas **out, an_canvas_kind kind, const an_history *run, int number)
{
    room r;
    int rc = room_make(&r, run, 1);
    an_chart chart = charts[number].chart;
    if (!rc) {
        chart.count = run_fill(run, &charts[number], &r);
        chart.series = r.series;
        chart.legend = r.legend;
        chart.entries = chart.count > 1 ? chart.count : 0;
        chart.x_label = "epochs";
        chart.least_end = run->epochs;
        rc = an_canvas_create(out, kind, 480, 290, chart.title);
    }
    if (!rc)
        an_chart_draw(*out, &chart, 0, 4, 480, 282);
    room_free(&r);
    return rc;
}
