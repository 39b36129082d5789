/* What an evaluation found: the parts of a report that need a dataset. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "tools/show/canvas/html.h"
#include "tools/show/content/subjects.h"
#include "tools/show/views/report_private.h"

#define CLASSES_SHOWN 5 /* best, and as many worst */
#define PAIRS_SHOWN 8

bool an_report_on_training_set(const an_report_page *p)
{
    const an_train_identity *identity = an_checkpoint_identity(p->viewer->trained.checkpoint);
    return p->dataset && an_dataset_fingerprint(p->dataset) == identity->fingerprint;
}

static void accuracy_tile(an_report_writer *w, const char *name, uint64_t right, uint64_t images)
{
    char label[96];
    snprintf(label, sizeof(label), "%s accuracy: %" PRIu64 " of %" PRIu64 " images", name, right, images);
    an_report_tile(w, label, "%.2f %%", 100 * (double)right / (double)images);
}

void an_report_accuracy(an_report_writer *w)
{
    const an_report_page *p = w->page;
    const an_evaluation *r = &p->findings->result;
    an_report_put(w, "<h2>Accuracy</h2>\n<p>On ");
    an_report_text(w, an_dataset_path(p->dataset));
    an_report_put(w, an_report_on_training_set(p)
                         ? ", <strong>the training set itself</strong>: images that the network has learned from"
                         : "");
    an_report_put(
        w, ". At the centre of each image; the paper averages ten crops, as <code>an-train eval --ten-crop</code> "
           "does.</p>\n<div class=\"tiles\">\n");
    accuracy_tile(w, "top-1", r->top1, r->images);
    if (p->viewer->classes > AN_PREDICTION_TOP)
        accuracy_tile(w, "top-5", r->topk, r->images);
    an_report_tile(w, "loss", "%.3f", r->loss);
    an_report_put(w, "</div>\n");
}

static void class_row(an_report_writer *w, uint32_t label)
{
    const an_confusion *confusion = &w->page->findings->confusion;
    double share = an_findings_share(w->page->findings, label);
    an_report_put(w, "<tr><td>");
    an_report_text(w, w->page->viewer->names[label]);
    an_report_put(w, "</td><td style=\"width:45%%\"><div class=\"bar\"><div style=\"width:%.1f%%\"></div></div></td>",
                  100 * share);
    an_report_put(w, "<td class=\"number\">%.1f %%</td><td class=\"number\">%" PRIu64 " of %" PRIu64 "</td></tr>\n",
                  100 * share, an_confusion_correct(confusion, label), an_confusion_total(confusion, label));
}

static void classes_write(an_report_writer *w)
{
    uint32_t *order = calloc((size_t)w->page->viewer->classes, sizeof(*order));
    if (!order) {
        w->code = w->code ? w->code : an_error(AN_ENOMEM, "out of memory for classes");
        return;
    }
    uint32_t count = an_findings_order(w->page->findings, order), half = count / 2;
    uint32_t shown = half < CLASSES_SHOWN ? half : CLASSES_SHOWN;
    an_report_put(w, "<h2>Classes</h2>\n<div class=\"two\">\n<div><h3>Recognised best</h3>\n<table>\n");
    for (uint32_t i = 0; i < shown; i++)
        class_row(w, order[i]);
    an_report_put(w, "</table></div>\n<div><h3>Recognised worst</h3>\n<table>\n");
    for (uint32_t i = 0; i < shown; i++)
        class_row(w, order[count - 1 - i]);
    an_report_put(w, "</table></div>\n</div>\n");
    free(order);
}

static void pairs_write(an_report_writer *w)
{
    an_confused pairs[PAIRS_SHOWN];
    size_t count = an_confusion_worst(&w->page->findings->confusion, pairs, PAIRS_SHOWN);
    if (!count)
        return;
    an_report_put(
        w, "<h3>Most frequent confusions</h3>\n<table>\n<tr><th>is</th><th>taken for</th><th>images</th></tr>\n");
    for (size_t i = 0; i < count; i++) {
        an_report_put(w, "<tr><td>");
        an_report_text(w, w->page->viewer->names[pairs[i].label]);
        an_report_put(w, "</td><td>");
        an_report_text(w, w->page->viewer->names[pairs[i].predicted]);
        an_report_put(w, "</td><td>%" PRIu64 "</td></tr>\n", pairs[i].count);
    }
    an_report_put(w, "</table>\n");
}

static void picture_write(an_report_writer *w, const an_image *image, const char *alt)
{
    an_buffer png = {0};
    an_report_put(w, "<img alt=\"");
    an_report_text(w, alt);
    an_report_put(w, "\" src=\"data:image/png;base64,");
    if (!w->code)
        w->code = an_canvas_png(image, &png);
    if (!w->code)
        w->code = an_html_base64(w->out, &png);
    an_report_put(w, "\">");
    an_buffer_free(&png);
}

static void mistake_write(an_report_writer *w, an_decoder *decoder, an_image *image, const an_prediction *m)
{
    const char *label = w->page->viewer->names[m->label];
    int rc = an_subject_record(w->page->dataset, decoder, m->index, image);
    w->code = w->code ? w->code : rc;
    if (w->code)
        return;
    an_report_put(w, "<div class=\"card\">");
    picture_write(w, image, label);
    an_report_put(w, "<b class=\"no\">");
    an_report_text(w, w->page->viewer->names[m->top[0]]);
    an_report_put(w, " %.1f %%</b>is <span class=\"yes\">", 100 * (double)m->probability[0]);
    an_report_text(w, label);
    an_report_put(w, "</span></div>\n");
}

static void mistakes_write(an_report_writer *w)
{
    const an_findings *f = w->page->findings;
    an_decoder *decoder = NULL;
    an_image image = {0};
    int rc = an_decoder_create(&decoder);
    w->code = w->code ? w->code : rc;
    an_report_put(w, "<h2>Most confident mistakes</h2>\n");
    an_report_put(w, f->mistake_count ? "<div class=\"cards\">\n" : "<p>There are none.</p>\n<div>");
    for (uint32_t i = 0; !w->code && i < f->mistake_count; i++)
        mistake_write(w, decoder, &image, &f->mistakes[i]);
    an_report_put(w, "</div>\n");
    an_decoder_free(decoder);
    an_image_free(&image);
}

void an_report_classes(an_report_writer *w)
{
    classes_write(w);
    pairs_write(w);
    mistakes_write(w);
}
