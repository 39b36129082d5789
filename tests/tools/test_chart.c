/* Charts, looked at as the text of their SVG. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "tools/show/canvas/chart.h"
#include "tools/show/views/curves_draw.h"

#define POINTS 1000

static const char *text_of(const an_buffer *svg)
{
    return (const char *)svg->data;
}

static int occurrences(const char *text, const char *of)
{
    int count = 0;
    for (const char *at = text; (at = strstr(at, of)); at += strlen(of))
        count++;
    return count;
}

/* The canvas as terminated text, which the caller frees. */
static an_buffer finish(an_canvas *canvas)
{
    an_buffer svg = {0};
    assert_int_equal(an_canvas_finish(canvas, &svg), AN_OK);
    assert_int_equal(an_buffer_append(&svg, "", 1), AN_OK);
    an_canvas_free(canvas);
    return svg;
}

static an_buffer chart_svg(const an_chart *chart)
{
    an_canvas *canvas;
    assert_int_equal(an_canvas_create(&canvas, AN_CANVAS_SVG, 480, 300, "chart"), AN_OK);
    an_chart_draw(canvas, chart, 0, 0, 480, 300);
    return finish(canvas);
}

static an_chart chart_of(an_series *series)
{
    return (an_chart){.title = "title", .x_label = "epochs", .y_format = "%g", .series = series, .count = 1};
}

static void test_text_stays_text(void **state)
{
    (void)state;
    static const an_canvas_kind kinds[] = {AN_CANVAS_SVG, AN_CANVAS_PAGE};
    for (int i = 0; i < 2; i++) {
        an_canvas *canvas;
        assert_int_equal(an_canvas_create(&canvas, kinds[i], 300, 100, "a & b"), AN_OK);
        an_canvas_text(canvas, "Ångström <b> & 鳥",
                       &(an_text_style){150, 50, 0, 12, AN_ALIGN_CENTRE, AN_COLOUR_INK, false});
        an_canvas_text(canvas, "a text that is much longer than the room it has",
                       &(an_text_style){0, 80, 80, 12, AN_ALIGN_LEFT, AN_COLOUR_INK, false});
        an_buffer svg = finish(canvas);
        assert_non_null(strstr(text_of(&svg), ">Ångström &lt;b&gt; &amp; 鳥</text>"));
        assert_non_null(strstr(text_of(&svg), "<title>a &amp; b</title>"));
        assert_non_null(strstr(text_of(&svg), "\u2026</text>"));
        assert_null(strstr(text_of(&svg), "room it has"));
        bool file = kinds[i] == AN_CANVAS_SVG; /* a page has its own colours */
        assert_int_equal(strstr(text_of(&svg), "<?xml") == text_of(&svg), file);
        assert_int_equal(strstr(text_of(&svg), "fill=\"#1f2430\"") != NULL, file);
        assert_int_equal(strstr(text_of(&svg), "var(--ink)") != NULL, !file);
        an_buffer_free(&svg);
    }
}

/* What stands in a file fits the room that it was given, as in pictures where Pango shortens it. */
static void test_long_text_is_shortened(void **state)
{
    (void)state;
    static const char text[] = "a class with a name that goes on, in every alphabet: ΑΒΓ Жук 鳥, and on and on";
    for (int i = 0; i < 60; i++) {
        const an_text_style style = {200, 50, 20 + 6 * i, 10 + i % 4, (an_align)(i % 3), AN_COLOUR_INK, i % 2};
        char shown[256] = "";
        an_canvas *canvas;
        an_buffer svg = {0};
        assert_int_equal(an_canvas_create(&canvas, AN_CANVAS_SVG, 400, 100, "x"), AN_OK);
        an_canvas_text(canvas, text, &style);
        assert_int_equal(an_canvas_finish(canvas, &svg), AN_OK);
        assert_int_equal(an_buffer_append(&svg, "", 1), AN_OK);
        const char *at = strstr(text_of(&svg), "<text");
        assert_non_null(at);
        assert_int_equal(sscanf(strchr(at, '>') + 1, "%255[^<]", shown), 1);
        assert_true(an_canvas_text_width(canvas, shown, style.size, style.bold) <= style.room);
        char *ellipsis = strstr(shown, "\u2026");
        if (ellipsis) { /* one character more would not fit */
            size_t kept = (size_t)(ellipsis - shown), more = kept + 1;
            assert_memory_equal(shown, text, kept);
            while (((unsigned char)text[more] & 0xc0) == 0x80)
                more++;
            snprintf(shown, sizeof shown, "%.*s\u2026", (int)more, text);
            assert_true(an_canvas_text_width(canvas, shown, style.size, style.bold) > style.room);
        } else {
            assert_string_equal(shown, text);
        }
        an_buffer_free(&svg);
        an_canvas_free(canvas);
    }
}

static void test_smoothing(void **state)
{
    (void)state;
    const an_point in[] = {{0, 4}, {1, 8}, {2, 0}, {3, 4}, {10, 7}};
    const double wide[] = {6, 4, 4, 2, 7};
    an_point out[5];
    an_chart_smooth(in, 5, 2, out);
    for (int i = 0; i < 5; i++) {
        assert_true(out[i].x == in[i].x);
        assert_true(fabs(out[i].y - wide[i]) < 1e-12);
    }
    an_chart_smooth(in, 5, 0.5, out);
    for (int i = 0; i < 5; i++)
        assert_true(fabs(out[i].y - in[i].y) < 1e-12);
}

/* A rate is that of the step which was just made, so it began after the point before. */
static void test_steps(void **state)
{
    (void)state;
    const an_point in[] = {{1, 0.1}, {2, 0.1}, {3, 0.01}};
    const an_point corners[] = {{0, 0.1}, {1, 0.1}, {1, 0.1}, {2, 0.1}, {2, 0.01}, {3, 0.01}};
    an_point out[6];
    assert_int_equal(an_chart_steps(in, 3, out), 6);
    for (int i = 0; i < 6; i++)
        assert_true(out[i].x == corners[i].x && out[i].y == corners[i].y);
}

static void test_the_rate_has_no_ramp(void **state)
{
    (void)state;
    const an_point in[] = {{10, 0.01}, {20, 0.01}, {30, 0.001}, {40, 0.001}};
    an_series series = {.colour = AN_COLOUR_SERIES, .points = in, .count = 4, .stepping = true};
    an_chart chart = chart_of(&series);
    chart.logarithmic = true;
    an_buffer svg = chart_svg(&chart);
    const char *line = strstr(text_of(&svg), "stroke=\"#2f6fb5\"");
    assert_non_null(line);
    while (line > text_of(&svg) && strncmp(line, " d=\"M", 5) != 0)
        line--;
    double x, y, at_x, at_y;
    int read = 0, used;
    assert_int_equal(sscanf(line, " d=\"M%lf %lf%n", &at_x, &at_y, &used), 2);
    for (const char *at = line + used; sscanf(at, "L%lf %lf%n", &x, &y, &used) == 2; at += used, read++) {
        assert_true(x == at_x || y == at_y);
        at_x = x;
        at_y = y;
    }
    assert_int_equal(read, 7);
    an_buffer_free(&svg);
}

static void test_ticks_by_decade(void **state)
{
    (void)state;
    const an_point in[] = {{1, 0.02}, {2, 0.00001}};
    an_series series = {.colour = AN_COLOUR_SERIES, .points = in, .count = 2};
    an_chart chart = chart_of(&series);
    chart.logarithmic = true;
    an_buffer svg = chart_svg(&chart);
    static const char *const there[] = {">0.01<", ">0.001<", ">0.0001<", ">1e-5<"}, *const not [] = {">0.1<", ">1e-6<"};
    for (int i = 0; i < 4; i++)
        assert_int_equal(occurrences(text_of(&svg), there[i]), 1);
    for (int i = 0; i < 2; i++)
        assert_null(strstr(text_of(&svg), not [i]));
    an_buffer_free(&svg);
    const an_point level[] = {{1, 0.0037}, {2, 0.0037}};
    series.points = level;
    svg = chart_svg(&chart);
    assert_true(strstr(text_of(&svg), ">0.01<") || strstr(text_of(&svg), ">0.001<"));
    an_buffer_free(&svg);
    const an_point deep[] = {{1, 0.01}, {2, 1e-30}}; /* as a cosine ends */
    series.points = deep;
    svg = chart_svg(&chart);
    assert_null(strstr(text_of(&svg), ">1e-9<"));
    assert_non_null(strstr(text_of(&svg), ">1e-7<"));
    an_buffer_free(&svg);
}

/* A thousand validations are a line with some fifty dots, not a band of them. The last point has one. */
static void test_dots_keep_apart(void **state)
{
    (void)state;
    static an_point in[POINTS];
    for (int i = 0; i < POINTS; i++)
        in[i] = (an_point){i + 1, 3};
    an_series series = {.colour = AN_COLOUR_SERIES, .points = in, .count = POINTS, .dotted = true};
    an_chart chart = chart_of(&series);
    an_buffer svg = chart_svg(&chart);
    assert_in_range(occurrences(text_of(&svg), "<circle"), 20, 480 / 12);
    assert_non_null(strstr(text_of(&svg), "<circle cx=\"468.00\"")); /* the right end of the axis */
    an_buffer_free(&svg);
    series.count = 5;
    svg = chart_svg(&chart);
    assert_int_equal(occurrences(text_of(&svg), "<circle"), 5);
    an_buffer_free(&svg);
    series.ended = true;
    svg = chart_svg(&chart);
    assert_int_equal(occurrences(text_of(&svg), "<circle"), 7); /* and a ring of two */
    an_buffer_free(&svg);
}

static void test_the_raw_line_lies_behind(void **state)
{
    (void)state;
    const an_point in[] = {{1, 1}, {2, 3}, {3, 1}, {4, 3}};
    an_series series = {.colour = AN_COLOUR_SERIES, .points = in, .count = 4, .smooth = 2};
    an_chart chart = chart_of(&series);
    an_buffer svg = chart_svg(&chart);
    const char *pale = strstr(text_of(&svg), "stroke=\"#2f6fb5\" stroke-opacity=\"0.30\"");
    assert_non_null(pale);
    assert_non_null(strstr(pale, "stroke=\"#2f6fb5\" stroke-width=\"1.80\""));
    an_buffer_free(&svg);
}

static void test_a_legend_is_not_cut(void **state)
{
    (void)state;
    char names[30][64];
    an_legend_entry entries[30];
    an_canvas *canvas;
    for (int i = 0; i < 30; i++) {
        snprintf(names[i], sizeof names[i], "run %d with a name of some length", i);
        entries[i] = (an_legend_entry){names[i], {an_palette_series(i), 2, 1, AN_DASH_NONE}, false, AN_MARK_DOT};
    }
    assert_int_equal(an_canvas_create(&canvas, AN_CANVAS_SVG, 600, 400, "legend"), AN_OK);
    double one = an_legend_height(canvas, entries, 1, 600), all = an_legend_height(canvas, entries, 30, 600);
    assert_true(an_legend_height(canvas, NULL, 0, 600) == 0);
    assert_true(one > 0 && all >= 10 * one && all <= 30 * one);
    an_legend_draw(canvas, entries, 30, 0, 0, 600);
    an_buffer svg = finish(canvas);
    for (int i = 0; i < 30; i++) {
        char wanted[80];
        snprintf(wanted, sizeof wanted, ">%.63s</text>", names[i]);
        assert_int_equal(occurrences(text_of(&svg), wanted), 1);
    }
    assert_null(strstr(text_of(&svg), "\u2026"));
    an_buffer_free(&svg);
}

static void test_colours_differ(void **state)
{
    (void)state;
    for (int i = 0; i < AN_PALETTE_SERIES; i++)
        for (int k = 0; k < i; k++) {
            assert_true(an_palette(an_palette_series(i))->light != an_palette(an_palette_series(k))->light);
            assert_true(an_palette(an_palette_series(i))->dark != an_palette(an_palette_series(k))->dark);
        }
}

/* Runs beyond the colours have dashes; shorter runs say so; top-5 is drawn where it says something. */
static void test_many_runs(void **state)
{
    (void)state;
    an_history runs[AN_PALETTE_SERIES + 1] = {0};
    an_point points[] = {{1, 50}, {2, 40}, {3, 30}};
    char name[] = "run";
    for (int i = 0; i <= AN_PALETTE_SERIES; i++) {
        runs[i].name = name;
        runs[i].epochs = i ? 3 : 2.5;
        runs[i].curves[AN_CURVE_ERROR] = (an_curve){points, 3, 3, 40};
        runs[i].curves[AN_CURVE_LOSS] = (an_curve){points, 3, 3, 40};
    }
    an_canvas *canvas;
    assert_int_equal(an_curves_draw(&canvas, AN_CANVAS_SVG, runs, AN_PALETTE_SERIES, 2), AN_OK);
    an_buffer svg = finish(canvas);
    assert_null(strstr(text_of(&svg), "dasharray"));
    assert_null(strstr(text_of(&svg), "Top-5"));
    assert_null(strstr(text_of(&svg), "validation"));
    assert_int_equal(occurrences(text_of(&svg), ">run (ends at 2.5)</text>"), 1);
    assert_int_equal(occurrences(text_of(&svg), ">run</text>"), AN_PALETTE_SERIES - 1);
    an_buffer_free(&svg);
    runs[0].curves[AN_CURVE_VALIDATION_TOP5] = (an_curve){points, 3, 3, 40};
    runs[0].curves[AN_CURVE_VALIDATION_ERROR] = (an_curve){points, 3, 3, 40};
    assert_int_equal(an_curves_draw(&canvas, AN_CANVAS_SVG, runs, AN_PALETTE_SERIES + 1, 2), AN_OK);
    svg = finish(canvas);
    assert_non_null(strstr(text_of(&svg), "stroke-dasharray=\"1.5 2.5\""));
    assert_non_null(strstr(text_of(&svg), ">Top-5 error</text>"));
    assert_non_null(strstr(text_of(&svg), ">with dots: validation</text>"));
    an_buffer_free(&svg);
}

/* Two sets of one run have one colour, and marks that the legend explains. */
static void test_validation_sets_have_marks(void **state)
{
    (void)state;
    an_point points[] = {{1, 50}, {2, 40}, {3, 30}};
    char run[] = "run", first[] = "data/val", second[] = "data/other";
    an_history_set other = {.name = second};
    an_history one = {.name = run, .epochs = 3, .first_set = first, .sets = &other, .set_count = 1};
    one.curves[AN_CURVE_ERROR] = one.curves[AN_CURVE_LOSS] = (an_curve){points, 3, 3, 40};
    one.curves[AN_CURVE_VALIDATION_ERROR] = other.curves[AN_CURVE_VALIDATION_ERROR] = (an_curve){points, 3, 3, 40};
    an_canvas *canvas;
    assert_int_equal(an_curves_draw(&canvas, AN_CANVAS_SVG, &one, 1, 0), AN_OK);
    an_buffer svg = finish(canvas);
    assert_int_equal(occurrences(text_of(&svg), ">validation on data/val</text>"), 1);
    assert_int_equal(occurrences(text_of(&svg), ">validation on data/other</text>"), 1);
    assert_int_equal(occurrences(text_of(&svg), "<circle"), 3 + 1);   /* and the legend's */
    assert_int_equal(occurrences(text_of(&svg), "Z\" fill="), 3 + 2); /* and the paper */
    an_buffer_free(&svg);
    assert_int_equal(an_curves_chart(&canvas, AN_CANVAS_PAGE, &one, 0), AN_OK);
    svg = finish(canvas);
    assert_int_equal(occurrences(text_of(&svg), ">validation on data/other</text>"), 1);
    an_buffer_free(&svg);
    an_history both[] = {one, one}; /* the second one has a single set, which is not named */
    both[1].first_set = NULL;
    both[1].set_count = 0;
    assert_int_equal(an_curves_draw(&canvas, AN_CANVAS_SVG, both, 2, 0), AN_OK);
    svg = finish(canvas);
    assert_int_equal(occurrences(text_of(&svg), ">validation on data/val</text>"), 1);
    assert_int_equal(occurrences(text_of(&svg), ">validation</text>"), 1);
    an_buffer_free(&svg);
    other.curves[AN_CURVE_VALIDATION_ERROR].count = 0;
    assert_int_equal(an_curves_draw(&canvas, AN_CANVAS_SVG, &one, 1, 0), AN_OK);
    svg = finish(canvas);
    assert_int_equal(occurrences(text_of(&svg), ">with dots: validation</text>"), 1);
    an_buffer_free(&svg);
}

/* A mean of the last points lies before the end of the run; the axis does not. */
static void test_the_axis_reaches_the_end(void **state)
{
    (void)state;
    const an_point points[] = {{0, 1}, {39.9, 2}};
    an_series series = {.points = points, .count = 2};
    an_chart chart = chart_of(&series);
    an_buffer svg = chart_svg(&chart);
    assert_null(strstr(text_of(&svg), ">40<"));
    an_buffer_free(&svg);
    chart.least_end = 40;
    svg = chart_svg(&chart);
    assert_non_null(strstr(text_of(&svg), ">40<"));
    an_buffer_free(&svg);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text_stays_text),
        cmocka_unit_test(test_long_text_is_shortened),
        cmocka_unit_test(test_smoothing),
        cmocka_unit_test(test_steps),
        cmocka_unit_test(test_the_rate_has_no_ramp),
        cmocka_unit_test(test_ticks_by_decade),
        cmocka_unit_test(test_dots_keep_apart),
        cmocka_unit_test(test_the_raw_line_lies_behind),
        cmocka_unit_test(test_a_legend_is_not_cut),
        cmocka_unit_test(test_colours_differ),
        cmocka_unit_test(test_many_runs),
        cmocka_unit_test(test_validation_sets_have_marks),
        cmocka_unit_test(test_the_axis_reaches_the_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
