#include <stdlib.h>

#include "base/error.h"
#include "base/program/options.h"
#include "tools/show/commands/commands.h"
#include "tools/show/views/curves_draw.h"

typedef struct {
    const char *output;
    double smooth;
} curves_options;

static const an_option table[] = {
    {.heading = "Options:"},
    {.name = "output",
     .key = 'o',
     .type = AN_OPTION_STRING,
     .metavar = "PICTURE",
     .initial = "curves.svg",
     .offset = offsetof(curves_options, output),
     .help = "the file to draw: .png, .svg or .pdf"},
    {.name = "smooth",
     .type = AN_OPTION_DOUBLE,
     .metavar = "PERCENT",
     .initial = "2",
     .min = 0,
     .max = 100,
     .offset = offsetof(curves_options, smooth),
     .help = "average training over this much of the longest run, and show what was logged behind it (0: do not)"},
    {0},
};

static const an_options spec = {
    .program = "an-show curves",
    .usage = "RUN...",
    .summary =
        "Draw how runs went, a line for each: training and validation error by epoch (the paper's Figure 1 compares "
        "two activations so), top-5 error, loss, learning rate, and the time spent waiting for data. Lines with dots "
        "are validation, and of several validation sets each has a mark of its own; a ring ends a run that is shorter "
        "than the longest.",
    .epilogue = "Examples:\n"
                "  $ an-show curves runs/first\n"
                "  $ an-show curves -o relu-or-tanh.png runs/relu runs/tanh",
    .options = table,
    .arguments_min = 1,
    .arguments_max = -1,
};

static int count_of(char *const *paths)
{
    int count = 0;
    while (paths[count])
        count++;
    return count;
}

static int draw(const curves_options *o, an_canvas_kind kind, char *const *paths)
{
    int count = count_of(paths), loaded = 0;
    an_canvas *canvas = NULL;
    an_history *runs = calloc((size_t)count, sizeof(*runs));
    int rc = runs ? AN_OK : an_error(AN_ENOMEM, "out of memory for %d runs", count);
    for (int i = 0; !rc && i < count; i++) {
        rc = an_history_load(&runs[i], paths[i]);
        loaded += !rc;
    }
    if (!rc)
        rc = an_history_distinguish(runs, count);
    if (!rc)
        rc = an_curves_draw(&canvas, kind, runs, count, o->smooth);
    if (!rc)
        rc = an_canvas_save(canvas, o->output);
    an_canvas_free(canvas);
    for (int i = 0; i < loaded; i++)
        an_history_free(&runs[i]);
    free(runs);
    return rc;
}

int an_show_curves(int argc, char **argv)
{
    curves_options o;
    char **paths;
    an_canvas_kind kind;
    int rc = an_options_init(&spec, &o);
    if (!rc)
        rc = an_options_parse(&spec, argc, argv, &o, &paths);
    if (!rc)
        rc = an_canvas_kind_of(o.output, &kind);
    return rc ? rc : draw(&o, kind, paths);
}
