#include "base/error.h"
#include "base/program/options.h"
#include "tools/show/commands/commands.h"
#include "tools/show/commands/recipe_options.h"
#include "tools/show/content/viewer.h"
#include "tools/show/views/augment_sheet.h"

typedef struct {
    an_train_config config;   /* first: options of the recipe keep their offsets */
    an_viewer_options source; /* only run, weights and recipe */
    uint64_t record;
    int epochs;
} augment_options;

static const an_option own[] = {
    {.heading = "Options:"},
    {.name = "record",
     .type = AN_OPTION_UINT64,
     .metavar = "N",
     .initial = "0",
     .offset = offsetof(augment_options, record),
     .help = "the image to show"},
    {.name = "epochs",
     .key = 'n',
     .type = AN_OPTION_INT,
     .metavar = "N",
     .initial = "12",
     .min = 1,
     .max = 120,
     .offset = offsetof(augment_options, epochs),
     .help = "show what the first N epochs make of it"},
    {.heading = "Augmentation, of a run or of one's own choice:"},
    AN_VIEWER_WEIGHTS(augment_options, source),
};
#define OWN (sizeof(own) / sizeof(own[0]))

static const char *const shaping[] = {"crop",          "seed",          "no-flip", "no-random-crop", "jitter",
                                      "jitter-scaled", "jitter-epochs", "mean",    "input-scale"};
#define SHAPING (sizeof(shaping) / sizeof(shaping[0]))

static an_option table[OWN + SHAPING + 1];

static const an_options spec = {
    .program = "an-show augment",
    .usage = "DATASET PICTURE",
    .summary =
        "Draw one image of a training set as the network sees it: cut, mirrored and coloured anew in every epoch, "
        "before and after the mean is subtracted, and the ten crops of the test. The loader's own code makes them: "
        "with the seed and the recipe of a run, these are the very inputs of that run.",
    .epilogue = "Examples:\n"
                "  $ an-show augment data/train sheet.png\n"
                "  $ an-show augment --run runs/first --record 17 data/train sheet.png\n"
                "  $ an-show augment --jitter 0.5 --no-flip data/train sheet.pdf",
    .options = table,
    .arguments_min = 2,
    .arguments_max = 2,
};

/* With a run, its recipe and the scale that its checkpoint holds. */
static int configure(augment_options *o, const an_dataset *dataset, double *scale)
{
    an_trained trained = {0};
    *scale = 1;
    if (!o->source.run && !o->source.weights && !o->source.recipe) {
        if (an_train_config_scale(&o->config) == AN_SCALE_UNIT) {
            const double *d = an_dataset_statistics(dataset)->deviation;
            double mean = (d[0] + d[1] + d[2]) / 3;
            *scale = mean > 0 ? 1 / mean : 1;
        }
        return AN_OK;
    }
    const an_trained_source source = an_viewer_source(&o->source, dataset);
    int rc = an_trained_open_source(&trained, &source);
    if (!rc) {
        o->config = trained.config;
        *scale = trained.input.scale;
    }
    an_trained_close(&trained);
    return rc;
}

static int draw(augment_options *o, const an_dataset *dataset, an_canvas_kind kind, an_canvas **canvas)
{
    double scale;
    int rc = configure(o, dataset, &scale);
    if (rc < 0)
        return rc;
    an_augment_sheet sheet = {.dataset = dataset,
                              .record = o->record,
                              .seed = o->config.seed,
                              .epochs = o->epochs,
                              .sample = {.crop = (uint32_t)o->config.crop,
                                         .random_crop = !o->config.no_random_crop,
                                         .flip = !o->config.no_flip,
                                         .jitter = o->config.jitter,
                                         .jitter_scaled = o->config.jitter_scaled,
                                         .jitter_epochs = o->config.jitter_epochs,
                                         .mean = (an_mean_kind)o->config.mean,
                                         .scale = scale}};
    return an_augment_sheet_draw(canvas, kind, &sheet);
}

int an_show_augment(int argc, char **argv)
{
    augment_options o;
    char **arguments;
    an_canvas_kind kind;
    an_dataset *dataset = NULL;
    an_canvas *canvas = NULL;
    an_recipe_options(table, own, OWN, shaping, SHAPING);
    int rc = an_options_init(an_train_recipe_spec(), &o.config);
    if (!rc)
        rc = an_options_init(&spec, &o);
    if (!rc)
        rc = an_options_parse(&spec, argc, argv, &o, &arguments);
    if (!rc)
        rc = an_canvas_kind_of(arguments[1], &kind);
    if (!rc)
        rc = an_viewer_dataset(&dataset, arguments[0]);
    if (!rc)
        rc = draw(&o, dataset, kind, &canvas);
    if (!rc)
        rc = an_canvas_save(canvas, arguments[1]);
    an_canvas_free(canvas);
    an_dataset_free(dataset);
    return rc;
}
