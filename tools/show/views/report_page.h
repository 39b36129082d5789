/* A run as one HTML page that needs no other file and no network connection. It follows the reader's light or dark
 * scheme, prints, and fits a phone. */
#ifndef AN_TOOLS_SHOW_VIEWS_REPORT_PAGE_H
#define AN_TOOLS_SHOW_VIEWS_REPORT_PAGE_H

#include "tools/show/content/findings.h"
#include "tools/show/content/history.h"
#include "tools/show/views/filters.h"

typedef struct {
    const char *run;
    const an_viewer *viewer;
    const an_history *history;
    const an_filters *filters;
    const an_dataset *dataset;   /* NULL: nothing was evaluated */
    const an_findings *findings; /* with a dataset */
} an_report_page;

int an_report_page_write(const an_report_page *page, an_buffer *out);

#endif
