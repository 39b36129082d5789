#include "base/error.h"
#include "base/program/options.h"
#include "base/program/stop.h"
#include "ingest/commands/commands.h"
#include "ingest/run/run.h"
#include "store/dataset/dataset.h"

#define FIELD(name) offsetof(an_ingest_config, name)

static const an_option table[] = {
    {.name = "codec",
     .key = 'c',
     .type = AN_OPTION_STRING,
     .metavar = "CODEC",
     .initial = "coef",
     .offset = FIELD(codec),
     .choices = an_codec_names,
     .help = "how pixels are stored, or mixed:P. Records that have it already are copied; between jpeg and coef the "
             "coefficients stay the same, bit for bit"},
    {.name = "quality",
     .key = 'Q',
     .type = AN_OPTION_INT,
     .metavar = "N",
     .initial = "90",
     .min = 1,
     .max = 100,
     .offset = FIELD(quality),
     .help = "of what must be compressed anew (from yuv420 or rgb)"},
    {.name = "subsampling",
     .type = AN_OPTION_CHOICE,
     .initial = "420",
     .choices = an_jpeg_subsampling_names,
     .offset = FIELD(subsampling),
     .help = "the same"},
    {.name = "threads",
     .key = 't',
     .type = AN_OPTION_INT,
     .metavar = "N",
     .initial = "0",
     .min = 0,
     .max = 1024,
     .offset = FIELD(threads),
     .help = "0: one for each processor"},
    {.name = "quiet", .key = 'q', .type = AN_OPTION_FLAG, .offset = FIELD(quiet), .help = "no progress, no summary"},
    {0},
};

static const an_options spec = {
    .program = "an-ingest transcode",
    .usage = "SOURCE DESTINATION",
    .summary =
        "Write a dataset again with another codec: same records, order and classes. Interrupted, the same command "
        "continues. (To change the size, ingest the dataset like any other source.)",
    .options = table,
    .arguments_min = 2,
    .arguments_max = 2,
};

/* Set the options of an ingest that transcode does not offer. */
static int complete(an_ingest_config *config, const char *source)
{
    an_dataset *dataset;
    int rc = an_dataset_open(&dataset, source);
    if (rc)
        return rc;
    config->size = (int)an_dataset_side(dataset);
    config->kind = "dataset";
    config->order = AN_INGEST_ORDER_SOURCE;
    config->max_bad = "0";
    an_dataset_free(dataset);
    return AN_OK;
}

int an_ingest_command_transcode(int argc, char **argv)
{
    an_ingest_config config;
    char **arguments;
    int rc = an_ingest_command_check_quiet(argc, argv);
    if (!rc)
        rc = an_options_init(&an_ingest_options, &config);
    if (!rc)
        rc = an_options_init(&spec, &config);
    if (!rc)
        rc = an_options_parse(&spec, argc, argv, &config, &arguments);
    if (!rc)
        rc = complete(&config, arguments[0]);
    return rc ? rc : an_ingest_command_run(&config, arguments[0], arguments[1]);
}
