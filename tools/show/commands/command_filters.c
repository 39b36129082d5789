#include "base/error.h"
#include "base/program/options.h"
#include "tools/show/commands/commands.h"
#include "tools/show/content/viewer.h"
#include "tools/show/views/filters.h"

typedef struct {
    an_viewer_options source; /* only run, weights and recipe */
    int scale;
} filters_options;

static const char *const scales[] = {"each", "together", NULL};

static const an_option table[] = {
    {.heading = "Options:"},
    AN_VIEWER_WEIGHTS(filters_options, source),
    {.name = "scale",
     .type = AN_OPTION_CHOICE,
     .choices = scales,
     .initial = "each",
     .offset = offsetof(filters_options, scale),
     .help = "each kernel for itself, so that every pattern shows, or all together, so that weak ones look weak"},
    {0},
};

static const an_options spec = {
    .program = "an-show filters",
    .usage = "PICTURE",
    .summary =
        "Draw the kernels of the first layer, the paper's Figure 3. A trained network has smooth edges and blobs of "
        "colour; noise means that it has not learned (yet).",
    .epilogue = "Examples:\n  $ an-show filters --run runs/first filters.png",
    .options = table,
    .arguments_min = 1,
    .arguments_max = 1,
};

int an_show_filters(int argc, char **argv)
{
    filters_options o;
    char **arguments;
    an_canvas_kind kind;
    an_filters filters = {0};
    an_canvas *canvas = NULL;
    int rc = an_options_init(&spec, &o);
    if (!rc)
        rc = an_options_parse(&spec, argc, argv, &o, &arguments);
    if (!rc)
        rc = an_canvas_kind_of(arguments[0], &kind);
    const an_trained_source source = an_viewer_source(&o.source, NULL);
    if (!rc)
        rc = an_filters_load(&filters, &source);
    if (!rc)
        rc = an_filters_draw(&canvas, kind, &filters, o.scale == 1);
    if (!rc)
        rc = an_canvas_save(canvas, arguments[0]);
    an_canvas_free(canvas);
    an_filters_free(&filters);
    return rc;
}
