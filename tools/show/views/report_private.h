/* A report being written, for the files that write its parts. Functions keep the first failure in the writer, so that
 * callers need not look at every call. */
#ifndef AN_TOOLS_SHOW_VIEWS_REPORT_PRIVATE_H
#define AN_TOOLS_SHOW_VIEWS_REPORT_PRIVATE_H

#include "tools/show/views/report_page.h"

typedef struct {
    const an_report_page *page;
    an_buffer *out;
    int code;
} an_report_writer;

/* Markup and numbers; texts from outside go through an_report_text. */
void an_report_put(an_report_writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void an_report_text(an_report_writer *w, const char *text);
/* A number with what it is below it. */
void an_report_tile(an_report_writer *w, const char *label, const char *format, double value);

/* Whether what was evaluated is the training set. */
bool an_report_on_training_set(const an_report_page *page);

/* Accuracy, with what was evaluated and how. */
void an_report_accuracy(an_report_writer *w);
/* Best and worst classes, confusions and mistakes. */
void an_report_classes(an_report_writer *w);

#endif
