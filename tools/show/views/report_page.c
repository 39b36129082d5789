#include "tools/show/views/report_page.h"

#include <glib.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/version.h"
#include "tools/show/canvas/html.h"
#include "tools/show/content/subjects.h"
#include "tools/show/views/curves_draw.h"
#include "tools/show/views/network_draw.h"
#include "tools/show/views/report_style.h"

#define CLASSES_SHOWN 5 /* best, and as many worst */
#define PAIRS_SHOWN 8

/* A page being written; the first failure is kept. */
typedef struct {
    const an_report_page *page;
    an_buffer *out;
    int code;
} writer;

static void put(writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Markup and numbers; texts from outside go through put_text. */
static void put(writer *w, const char *format, ...)
{
    char text[2048];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (!w->code && (length < 0 || (size_t)length >= sizeof(text)))
        w->code = an_error(AN_EINTERNAL, "a part of the report is too long");
    if (!w->code)
        w->code = an_buffer_append(w->out, text, (size_t)length);
}

static void put_text(writer *w, const char *text)
{
    if (!w->code)
        w->code = an_html_text(w->out, text);
}

/* Append the canvas, whose making returned rc, and free it. */
static void put_canvas(writer *w, int rc, an_canvas *canvas)
{
    if (!w->code)
        w->code = rc < 0 ? rc : an_canvas_finish(canvas, w->out);
    an_canvas_free(canvas);
}

static void tile(writer *w, const char *label, const char *format, double value)
{
    char text[64];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* constants of this file */
    snprintf(text, sizeof(text), format, value);
#pragma GCC diagnostic pop
    put(w, "<div class=\"tile\"><b>%s</b><span>%s</span></div>\n", text, label);
}

static void head_write(writer *w)
{
    put(w, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
           "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>");
    put_text(w, w->page->history->name);
    put(w, " \u2013 training report</title>\n");
    if (!w->code)
        w->code = an_report_style_write(w->out);
    put(w, "</head>\n<body>\n<main>\n<p class=\"muted\">Training report</p>\n<h1>");
    put_text(w, w->page->history->name);
    put(w, "</h1>\n");
}

static void tiles_write(writer *w)
{
    const an_report_page *p = w->page;
    put(w, "<div class=\"tiles\">\n");
    if (p->findings) {
        const an_evaluation *r = &p->findings->result;
        tile(w, "top-1 accuracy", "%.2f %%", 100 * (double)r->top1 / (double)r->images);
        if (p->viewer->classes > AN_PREDICTION_TOP)
            tile(w, "top-5 accuracy", "%.2f %%", 100 * (double)r->top5 / (double)r->images);
        tile(w, "images evaluated", "%.0f", (double)r->images);
        tile(w, "loss", "%.3f", r->loss);
    }
    tile(w, "epochs trained", "%.3g", p->history->epochs);
    tile(w, "steps", "%.0f", p->history->steps);
    tile(w, "images/s in training", "%.0f", an_history_mean(p->history, AN_CURVE_SPEED));
    tile(w, "parameters", "%.3g M", (double)an_graph_parameters(&p->viewer->graph) * 1e-6);
    put(w, "</div>\n");
}

static void verdict_write(writer *w)
{
    double wait = an_history_mean(w->page->history, AN_CURVE_WAIT);
    put(w, "<p>The device waited for data during <strong>%.2f %%</strong> of the training time: ", wait);
    put(w, wait < 1    ? "it was never starved, and a faster data path would change nothing."
           : wait < 10 ? "the data path nearly keeps up."
                       : "<strong>it was starved.</strong> <code>an-bench-io</code> names the stage that is too slow.");
    put(w, "</p>\n");
}

static void curves_write(writer *w)
{
    const an_history *history = w->page->history;
    put(w, "<h2>How training went</h2>\n<div class=\"two\">\n");
    for (int i = 0; i < AN_CURVES_CHARTS; i++) {
        an_canvas *canvas = NULL;
        if (!an_curves_has(history, 1, i))
            continue;
        int rc = an_curves_chart(&canvas, AN_CANVAS_PAGE, history, i);
        put_canvas(w, rc, canvas);
    }
    put(w, "</div>\n");
    verdict_write(w);
}

static void class_row(writer *w, uint32_t label)
{
    double share = an_findings_share(w->page->findings, label);
    put(w, "<tr><td>");
    put_text(w, w->page->viewer->names[label]);
    put(w, "</td><td style=\"width:45%%\"><div class=\"bar\"><div style=\"width:%.1f%%\"></div></div></td>",
        100 * share);
    put(w, "<td class=\"number\">%.1f %%</td></tr>\n", 100 * share);
}

static void classes_write(writer *w)
{
    uint32_t *order = calloc((size_t)w->page->viewer->classes, sizeof(*order));
    if (!order) {
        w->code = w->code ? w->code : an_error(AN_ENOMEM, "out of memory for classes");
        return;
    }
    uint32_t count = an_findings_order(w->page->findings, order), half = count / 2;
    uint32_t shown = half < CLASSES_SHOWN ? half : CLASSES_SHOWN;
    put(w, "<h2>Classes</h2>\n<div class=\"two\">\n<div><h3>Recognised best</h3>\n<table>\n");
    for (uint32_t i = 0; i < shown; i++)
        class_row(w, order[i]);
    put(w, "</table></div>\n<div><h3>Recognised worst</h3>\n<table>\n");
    for (uint32_t i = 0; i < shown; i++)
        class_row(w, order[count - 1 - i]);
    put(w, "</table></div>\n</div>\n");
    free(order);
}

static void pairs_write(writer *w)
{
    an_confused pairs[PAIRS_SHOWN];
    size_t count = an_confusion_worst(&w->page->findings->confusion, pairs, PAIRS_SHOWN);
    if (!count)
        return;
    put(w, "<h3>Most frequent confusions</h3>\n<table>\n<tr><th>is</th><th>taken for</th><th>images</th></tr>\n");
    for (size_t i = 0; i < count; i++) {
        put(w, "<tr><td>");
        put_text(w, w->page->viewer->names[pairs[i].label]);
        put(w, "</td><td>");
        put_text(w, w->page->viewer->names[pairs[i].predicted]);
        put(w, "</td><td>%" PRIu64 "</td></tr>\n", pairs[i].count);
    }
    put(w, "</table>\n");
}

static void picture_write(writer *w, const an_image *image, const char *alt)
{
    an_buffer png = {0};
    put(w, "<img alt=\"");
    put_text(w, alt);
    put(w, "\" src=\"data:image/png;base64,");
    if (!w->code)
        w->code = an_canvas_png(image, &png);
    if (!w->code)
        w->code = an_html_base64(w->out, &png);
    put(w, "\">");
    an_buffer_free(&png);
}

static void mistake_write(writer *w, an_decoder *decoder, an_image *image, const an_prediction *m)
{
    const char *label = w->page->viewer->names[m->label];
    int rc = an_subject_record(w->page->dataset, decoder, m->index, image);
    w->code = w->code ? w->code : rc;
    if (w->code)
        return;
    put(w, "<div class=\"card\">");
    picture_write(w, image, label);
    put(w, "<b class=\"no\">");
    put_text(w, w->page->viewer->names[m->top[0]]);
    put(w, " %.1f %%</b>is <span class=\"yes\">", 100 * (double)m->probability[0]);
    put_text(w, label);
    put(w, "</span></div>\n");
}

static void mistakes_write(writer *w)
{
    const an_findings *f = w->page->findings;
    an_decoder *decoder = NULL;
    an_image image = {0};
    int rc = an_decoder_create(&decoder);
    w->code = w->code ? w->code : rc;
    put(w, "<h2>Most confident mistakes</h2>\n");
    put(w, f->mistake_count ? "<div class=\"cards\">\n" : "<p>There are none.</p>\n<div>");
    for (uint32_t i = 0; !w->code && i < f->mistake_count; i++)
        mistake_write(w, decoder, &image, &f->mistakes[i]);
    put(w, "</div>\n");
    an_decoder_free(decoder);
    an_image_free(&image);
}

static void network_write(writer *w)
{
    an_canvas *canvas = NULL;
    int rc = an_filters_draw(&canvas, AN_CANVAS_PAGE, w->page->filters, false);
    put(w, "<h2>What the first layer learned</h2>\n");
    put_canvas(w, rc, canvas);
    canvas = NULL;
    put(w, "<h2>The network</h2>\n<div class=\"wide\">\n");
    rc = an_network_draw(&canvas, AN_CANVAS_PAGE, &w->page->viewer->graph, "Layers, shapes and costs");
    put_canvas(w, rc, canvas);
    put(w, "</div>\n");
}

/* The number of epochs of the whole run, computed from its steps and from the epochs that its last line states. */
static double epochs_of(const an_history *h, uint64_t total)
{
    return h->steps > 0 ? ceil((double)total * h->epochs / h->steps - 1e-6) : 1;
}

/* A word as a shell reads it. */
static void shell_word(writer *w, const char *text)
{
    gchar *quoted = text[strcspn(text, " '\"\\$&|;<>()*?[]#~`!{}\n\t")] ? g_shell_quote(text) : g_strdup(text);
    put(w, " ");
    put_text(w, quoted);
    g_free(quoted);
}

static void reproduce_write(writer *w)
{
    const an_checkpoint *checkpoint = w->page->viewer->trained.checkpoint;
    const an_train_identity *identity = an_checkpoint_identity(checkpoint);
    put(w, "<h2>How to get there again</h2>\n<pre>an-train --recipe");
    an_buffer path = {0};
    w->code = w->code ? w->code : an_buffer_printf(&path, "%s/recipe.txt", w->page->run);
    if (!w->code)
        shell_word(w, (char *)path.data);
    an_buffer_free(&path);
    put(w, " --run again --epochs %.0f --steps %" PRIu64, epochs_of(w->page->history, identity->total_steps),
        identity->total_steps);
    shell_word(w, identity->dataset);
    if (w->page->dataset)
        shell_word(w, an_dataset_path(w->page->dataset));
    put(w, "</pre>\n<table>\n<tr><td>made on</td><td>");
    put_text(w, identity->machine);
    put(w, "</td></tr>\n<tr><td>weights</td><td>");
    put_text(w, an_checkpoint_path(checkpoint));
    put(w, ", step %" PRIu64 "</td></tr>\n<tr><td>training set</td><td>", an_checkpoint_state(checkpoint)->step);
    put_text(w, identity->dataset);
    put(w, ", fingerprint %016" PRIx64 "</td></tr>\n", identity->fingerprint);
    if (w->page->dataset) {
        put(w, "<tr><td>evaluated on</td><td>");
        put_text(w, an_dataset_path(w->page->dataset));
        put(w, ", fingerprint %016" PRIx64 "</td></tr>\n", an_dataset_fingerprint(w->page->dataset));
    }
    put(w, "</table>\n<h3>Recipe</h3>\n<pre>");
    put_text(w, identity->recipe);
    put(w, "</pre>\n");
}

int an_report_page_write(const an_report_page *page, an_buffer *out)
{
    writer w = {.page = page, .out = out};
    head_write(&w);
    tiles_write(&w);
    curves_write(&w);
    if (page->findings) {
        classes_write(&w);
        pairs_write(&w);
        mistakes_write(&w);
    }
    network_write(&w);
    reproduce_write(&w);
    put(&w, "<p class=\"muted\">Made by an-show %s.</p>\n</main>\n</body>\n</html>\n", AN_VERSION);
    return w.code;
}
