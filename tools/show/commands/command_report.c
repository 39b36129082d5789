#include "base/error.h"
#include "base/file.h"
#include "base/program/options.h"
#include "tools/show/commands/commands.h"
#include "tools/show/views/report_page.h"

typedef struct {
    an_viewer_options viewer; /* run is an argument */
    const char *output;
    int mistakes;
} report_options;

static const an_option table[] = {
    {.heading = "Options:"},
    {.name = "output",
     .key = 'o',
     .type = AN_OPTION_STRING,
     .metavar = "FILE",
     .initial = "report.html",
     .offset = offsetof(report_options, output),
     .help = "the page to write"},
    {.name = "mistakes",
     .type = AN_OPTION_INT,
     .metavar = "N",
     .initial = "12",
     .min = 0,
     .max = 1000,
     .offset = offsetof(report_options, mistakes),
     .help = "show so many confident mistakes"},
    AN_VIEWER_MACHINE(report_options, viewer),
    AN_VIEWER_LOADER(report_options, viewer),
    {0},
};

static const an_options spec = {
    .program = "an-show report",
    .usage = "RUN [DATASET]",
    .summary =
        "Write one HTML page about a run, to be sent to somebody: recipe, curves, filters, the network, whether data "
        "kept it waiting, and how to get there again. With a dataset, whose labels are right, also accuracy, the "
        "best and worst classes, and the most confident mistakes. The page needs no network and holds all pictures.",
    .epilogue = "Examples:\n  $ an-show report runs/first data/val\n  $ an-show report -o first.html runs/first",
    .options = table,
    .arguments_min = 1,
    .arguments_max = 2,
};

static int write_page(const report_options *o, an_report_page *page)
{
    an_buffer html = {0};
    int rc = an_report_page_write(page, &html);
    if (!rc)
        rc = an_file_write_atomic(o->output, html.data, html.size);
    an_buffer_free(&html);
    return rc;
}

static int report(const report_options *o, const char *dataset_path)
{
    an_dataset *dataset = NULL;
    an_viewer viewer = {0};
    an_history history = {0};
    an_filters filters = {0};
    an_findings findings = {0};
    int rc = an_history_load(&history, o->viewer.run);
    if (!rc && dataset_path)
        rc = an_viewer_dataset(&dataset, dataset_path);
    if (!rc)
        rc = an_viewer_open(&viewer, &o->viewer, dataset, dataset != NULL);
    if (!rc)
        rc = an_filters_load(&filters, &(an_trained_source){.run = o->viewer.run});
    if (!rc && dataset)
        rc = an_findings_make(&findings, &viewer, dataset, (uint32_t)o->mistakes);
    an_report_page page = {o->viewer.run, &viewer, &history, &filters, dataset, dataset ? &findings : NULL};
    if (!rc)
        rc = write_page(o, &page);
    an_findings_free(&findings);
    an_filters_free(&filters);
    an_viewer_close(&viewer);
    an_history_free(&history);
    an_dataset_free(dataset);
    return rc;
}

int an_show_report(int argc, char **argv)
{
    report_options o = {0};
    char **arguments;
    int rc = an_options_init(&spec, &o);
    if (!rc)
        rc = an_options_parse(&spec, argc, argv, &o, &arguments);
    if (rc)
        return rc;
    o.viewer.run = arguments[0];
    return report(&o, arguments[1]);
}
