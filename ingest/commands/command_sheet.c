#include <stdio.h>

#include "base/error.h"
#include "base/file.h"
#include "base/program/options.h"
#include "ingest/commands/commands.h"
#include "ingest/commands/sheet.h"

typedef struct {
    int images, columns, cell;
    uint64_t seed;
} sheet_config;

static const an_option table[] = {
    {.name = "images",
     .key = 'n',
     .type = AN_OPTION_INT,
     .metavar = "N",
     .initial = "64",
     .min = 1,
     .max = 10000,
     .offset = offsetof(sheet_config, images),
     .help = "number of pictures"},
    {.name = "columns",
     .type = AN_OPTION_INT,
     .metavar = "N",
     .initial = "0",
     .min = 0,
     .max = 1000,
     .offset = offsetof(sheet_config, columns),
     .help = "pictures in a row, 0: a square sheet"},
    {.name = "cell",
     .type = AN_OPTION_INT,
     .metavar = "PIXELS",
     .initial = "128",
     .min = 16,
     .max = 2048,
     .offset = offsetof(sheet_config, cell),
     .help = "side of a picture on the sheet"},
    {.name = "seed",
     .type = AN_OPTION_UINT64,
     .metavar = "N",
     .initial = "1",
     .offset = offsetof(sheet_config, seed),
     .help = "another choice of pictures"},
    {0},
};

static const an_options spec = {
    .program = "an-ingest sheet",
    .usage = "DATASET PNG",
    .summary = "Draw a contact sheet of random records with their class names: look at the data before training on it.",
    .options = table,
    .arguments_min = 2,
    .arguments_max = 2,
};

int an_ingest_command_sheet(int argc, char **argv)
{
    sheet_config config;
    char **arguments;
    an_dataset *dataset;
    an_buffer png = {0};
    int rc = an_options_init(&spec, &config);
    if (!rc)
        rc = an_options_parse(&spec, argc, argv, &config, &arguments);
    if (!rc)
        rc = an_dataset_open(&dataset, arguments[0]);
    if (rc)
        return rc;
    an_sheet_options options = {(uint32_t)config.images, (uint32_t)config.columns, (uint32_t)config.cell, config.seed};
    rc = an_sheet_make(dataset, &options, &png);
    if (!rc)
        rc = an_file_write_atomic(arguments[1], png.data, png.size);
    an_buffer_free(&png);
    an_dataset_free(dataset);
    return rc;
}
