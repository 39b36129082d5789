#include "tools/show/views/report_page.h"

#include <glib.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/version.h"
#include "tools/show/canvas/html.h"
#include "tools/show/views/curves_draw.h"
#include "tools/show/views/network_draw.h"
#include "tools/show/views/report_private.h"
#include "tools/show/views/report_style.h"

void an_report_put(an_report_writer *w, const char *format, ...)
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

void an_report_text(an_report_writer *w, const char *text)
{
    if (!w->code)
        w->code = an_html_text(w->out, text);
}

void an_report_tile(an_report_writer *w, const char *label, const char *format, double value)
{
    char text[64];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral" /* the callers' constants */
    snprintf(text, sizeof(text), format, value);
#pragma GCC diagnostic pop
    an_report_put(w, "<div class=\"tile\"><b>%s</b><span>%s</span></div>\n", text, label);
}

/* Append the canvas, whose making returned rc, and free it. */
static void put_canvas(an_report_writer *w, int rc, an_canvas *canvas)
{
    if (!w->code)
        w->code = rc < 0 ? rc : an_canvas_finish(canvas, w->out);
    an_canvas_free(canvas);
}

static void head_write(an_report_writer *w)
{
    an_report_put(w, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                     "<meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<title>");
    an_report_text(w, w->page->history->name);
    an_report_put(w, " \u2013 training report</title>\n");
    if (!w->code)
        w->code = an_report_style_write(w->out);
    an_report_put(w, "</head>\n<body>\n<main>\n<p class=\"muted\">Training report</p>\n<h1>");
    an_report_text(w, w->page->history->name);
    an_report_put(w, "</h1>\n");
}

/* Which weights the page is about: a run goes on after its best checkpoint. */
static void weights_write(an_report_writer *w)
{
    const an_history *h = w->page->history;
    const an_trained *trained = &w->page->viewer->trained;
    const char *name = strrchr(trained->path, '/');
    bool best = strcmp(name ? name + 1 : trained->path, "best.safetensors") == 0;
    an_report_put(w, "<p>Filters and everything that was evaluated are of the weights after step %" PRIu64,
                  trained->step);
    if (h->steps > 0)
        an_report_put(w, " (epoch %.3g)", (double)trained->step * h->epochs / h->steps);
    an_report_put(w, best ? ", those with the best validation.</p>\n" : ", the newest that were kept.</p>\n");
}

static void tiles_write(an_report_writer *w)
{
    const an_report_page *p = w->page;
    an_report_put(w, "<div class=\"tiles\">\n");
    an_report_tile(w, "epochs trained in all", "%.3g", p->history->epochs);
    an_report_tile(w, "steps in all", "%.0f", p->history->steps);
    an_report_tile(w, "images/s in training", "%.0f", an_history_mean(p->history, AN_CURVE_SPEED));
    an_report_tile(w, "parameters", "%.3g M", (double)an_graph_parameters(&p->viewer->graph) * 1e-6);
    an_report_put(w, "</div>\n");
}

static void verdict_write(an_report_writer *w)
{
    double wait = an_history_mean(w->page->history, AN_CURVE_WAIT);
    an_report_put(w, "<p>The device waited for data during <strong>%.2f %%</strong> of the training time: ", wait);
    an_report_put(
        w, wait < 1    ? "it was never starved, and a faster data path would change nothing."
           : wait < 10 ? "the data path nearly keeps up."
                       : "<strong>it was starved.</strong> <code>an-bench-io</code> names the stage that is too slow.");
    an_report_put(w, "</p>\n");
}

static void curves_write(an_report_writer *w)
{
    const an_history *history = w->page->history;
    an_report_put(w, "<h2>How training went</h2>\n<div class=\"two\">\n");
    for (int i = 0; i < AN_CURVES_CHARTS; i++) {
        an_canvas *canvas = NULL;
        if (!an_curves_has(history, 1, i))
            continue;
        int rc = an_curves_chart(&canvas, AN_CANVAS_PAGE, history, i);
        put_canvas(w, rc, canvas);
    }
    an_report_put(w, "</div>\n");
    verdict_write(w);
}

static void network_write(an_report_writer *w)
{
    an_canvas *canvas = NULL;
    int rc = an_filters_draw(&canvas, AN_CANVAS_PAGE, w->page->filters, false);
    an_report_put(w, "<h2>What the first layer learned</h2>\n");
    put_canvas(w, rc, canvas);
    canvas = NULL;
    an_report_put(w, "<h2>The network</h2>\n<div class=\"wide\">\n");
    rc = an_network_draw(&canvas, AN_CANVAS_PAGE, &w->page->viewer->graph, "Layers, shapes and costs");
    put_canvas(w, rc, canvas);
    an_report_put(w, "</div>\n");
}

/* The number of epochs of the whole run, computed from its steps and from the epochs that its last line states. */
static double epochs_of(const an_history *h, uint64_t total)
{
    return h->steps > 0 ? ceil((double)total * h->epochs / h->steps - 1e-6) : 1;
}

/* A word as a shell reads it. */
static void shell_word(an_report_writer *w, const char *text)
{
    gchar *quoted = text[strcspn(text, " '\"\\$&|;<>()*?[]#~`!{}\n\t")] ? g_shell_quote(text) : g_strdup(text);
    an_report_put(w, " ");
    an_report_text(w, quoted);
    g_free(quoted);
}

/* The end of the command: the validation sets, where the run's first line tells them. */
static void validation_write(an_report_writer *w)
{
    const an_history *history = w->page->history;
    for (int i = 0; i < history->origin.validations; i++)
        shell_word(w, history->origin.validation[i]);
    bool unknown = !history->origin.program && history->curves[AN_CURVE_VALIDATION_ERROR].count > 0;
    an_report_put(w, unknown ? " VALIDATION</pre>\n<p>VALIDATION stands for the set that the run validated on: "
                               "an-train 0.1.0 did not write down which.</p>\n"
                             : "</pre>\n");
}

static void program_write(an_report_writer *w)
{
    if (!w->page->history->origin.program)
        return;
    an_report_put(w, "<tr><td>made with</td><td>");
    an_report_text(w, w->page->history->origin.program);
    an_report_put(w, "</td></tr>\n");
}

static void reproduce_write(an_report_writer *w)
{
    const an_checkpoint *checkpoint = w->page->viewer->trained.checkpoint;
    const an_train_identity *identity = an_checkpoint_identity(checkpoint);
    an_report_put(w, "<h2>How to get there again</h2>\n<pre>an-train --recipe");
    an_buffer path = {0};
    w->code = w->code ? w->code : an_buffer_printf(&path, "%s/recipe.txt", w->page->run);
    if (!w->code)
        shell_word(w, (char *)path.data);
    an_buffer_free(&path);
    const an_history *h = w->page->history;
    double steps = h->steps > 0 ? h->steps : (double)identity->total_steps; /* as far as it went */
    an_report_put(w, " --run again --epochs %.0f --steps %.0f", epochs_of(h, identity->total_steps), steps);
    shell_word(w, identity->dataset);
    validation_write(w);
    an_report_put(w, "<table>\n");
    program_write(w);
    an_report_put(w, "<tr><td>made on</td><td>");
    an_report_text(w, identity->machine);
    an_report_put(w, "</td></tr>\n<tr><td>weights</td><td>");
    an_report_text(w, an_checkpoint_path(checkpoint));
    an_report_put(w, ", step %" PRIu64 "</td></tr>\n<tr><td>training set</td><td>",
                  an_checkpoint_state(checkpoint)->step);
    an_report_text(w, identity->dataset);
    an_report_put(w, ", fingerprint %016" PRIx64 "</td></tr>\n", identity->fingerprint);
    if (w->page->dataset) {
        an_report_put(w, "<tr><td>evaluated on</td><td>");
        an_report_text(w, an_dataset_path(w->page->dataset));
        an_report_put(w, ", fingerprint %016" PRIx64 "%s</td></tr>\n", an_dataset_fingerprint(w->page->dataset),
                      an_report_on_training_set(w->page) ? ": the training set" : "");
    }
    an_report_put(w, "</table>\n<h3>Recipe</h3>\n<pre>");
    an_report_text(w, identity->recipe);
    an_report_put(w, "</pre>\n");
}

int an_report_page_write(const an_report_page *page, an_buffer *out)
{
    an_report_writer w = {.page = page, .out = out};
    head_write(&w);
    tiles_write(&w);
    weights_write(&w);
    if (page->findings)
        an_report_accuracy(&w);
    curves_write(&w);
    if (page->findings)
        an_report_classes(&w);
    network_write(&w);
    reproduce_write(&w);
    an_report_put(&w, "<p class=\"muted\">Made by an-show %s.</p>\n</main>\n</body>\n</html>\n", AN_VERSION);
    return w.code;
}
