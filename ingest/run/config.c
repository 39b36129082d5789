#include "ingest/run/config.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/program/progress.h"
#include "ingest/picture/picture.h"

static const char *const filters[] = {"triangle", "lanczos3", "box", NULL};
static const char *const orders[] = {"shuffled", "source", NULL};

#define FIELD(name) offsetof(an_ingest_config, name)
#define TEXT_OF(token) #token
#define TEXT(macro) TEXT_OF(macro)

static const an_option options[] = {
    {.heading = "Records:"},
    {.name = "size",
     .key = 's',
     .type = AN_OPTION_INT,
     .metavar = "PIXELS",
     .initial = "256",
     .min = 8,
     .max = 4096,
     .offset = FIELD(size),
     .help = "side of the stored square image"},
    {.name = "codec",
     .key = 'c',
     .type = AN_OPTION_STRING,
     .metavar = "CODEC",
     .initial = "jpeg",
     .offset = FIELD(codec),
     .choices = an_codec_names,
     .help = "how pixels are stored. coef is jpeg's coefficients unpacked: a little larger, several times faster to "
             "read. mixed:P is a share P (0 to 1) of the records as yuv420, the rest as jpeg"},
    {.name = "quality",
     .key = 'Q',
     .type = AN_OPTION_INT,
     .metavar = "N",
     .initial = "90",
     .min = 1,
     .max = 100,
     .offset = FIELD(quality),
     .help = "JPEG quality"},
    {.name = "subsampling",
     .type = AN_OPTION_CHOICE,
     .initial = "420",
     .choices = an_jpeg_subsampling_names,
     .offset = FIELD(subsampling),
     .help = "JPEG chroma subsampling"},
    {.name = "filter",
     .type = AN_OPTION_CHOICE,
     .initial = "triangle",
     .choices = filters,
     .offset = FIELD(filter),
     .help = "resampling filter, always antialiased"},
    {.heading = "Source:"},
    {.name = "kind",
     .key = 'k',
     .type = AN_OPTION_STRING,
     .metavar = "KIND",
     .offset = FIELD(kind),
     .help = "what SOURCE is, one of the kinds listed below; found by looking at it if not given"},
    {.name = "class-names",
     .type = AN_OPTION_STRING,
     .metavar = "FILE",
     .offset = FIELD(class_names),
     .help = "names for people: lines of class id, tab, name (classes.tsv in the source folder is used by itself)"},
    {.name = "classes-from",
     .type = AN_OPTION_STRING,
     .metavar = "DATASET|FILE",
     .offset = FIELD(classes_from),
     .help =
         "labels as in another dataset or in a file of class ids: a validation set needs those of its training set"},
    {.name = "labels",
     .type = AN_OPTION_STRING,
     .metavar = "FILE",
     .offset = FIELD(labels),
     .help = "IDX: the labels file, if it does not lie beside the images under its usual name. A tar or folder without "
             "class folders: "
             "lines of image name, tab, class, or one class a line in the order of the images' names"},
    {.name = "devkit",
     .type = AN_OPTION_STRING,
     .metavar = "FILE",
     .offset = FIELD(devkit),
     .help = "ILSVRC2012_devkit_t12.tar.gz: labels of the validation tar, class ids and names"},
    {.name = "synsets",
     .type = AN_OPTION_STRING,
     .metavar = "FILE",
     .offset = FIELD(synsets),
     .help = "class ids, one a line: numbers in --labels count its lines from 1"},
    {.name = "order",
     .type = AN_OPTION_CHOICE,
     .initial = "shuffled",
     .choices = orders,
     .offset = FIELD(order),
     .help = "order of the records"},
    {.name = "seed",
     .type = AN_OPTION_UINT64,
     .metavar = "N",
     .initial = "1",
     .offset = FIELD(seed),
     .help = "of the shuffled order and of mixed codecs"},
    {.heading = "Bad input:"},
    {.name = "max-bad",
     .type = AN_OPTION_STRING,
     .metavar = "N|P%",
     .initial = "1%",
     .offset = FIELD(max_bad),
     .help = "fail when more inputs than this are set aside; of a percentage, up to ten (but no more than half) are "
             "forgiven in a small source"},
    {.name = "accept-truncated",
     .type = AN_OPTION_FLAG,
     .offset = FIELD(accept_truncated),
     .help = "keep JPEGs whose data ends early instead of setting them aside"},
    {.name = "max-pixels",
     .type = AN_OPTION_UINT64,
     .metavar = "N",
     .initial = TEXT(AN_PICTURE_PIXELS_MAX),
     .offset = FIELD(pixels_max),
     .min = 1,
     .max = 1e12,
     .help = "set aside images of more pixels than this"},
    {.heading = "Running:"},
    {.name = "threads",
     .key = 't',
     .type = AN_OPTION_INT,
     .metavar = "N",
     .initial = "0",
     .min = 0,
     .max = 1024,
     .offset = FIELD(threads),
     .help = "decoding threads, 0: one for each processor; the result is the same for any"},
    {.name = "dry-run",
     .key = 'n',
     .type = AN_OPTION_FLAG,
     .offset = FIELD(dry_run),
     .help = "list the source, try a sample, estimate size and time; write nothing (no DESTINATION needed)"},
    {.name = "progress",
     .type = AN_OPTION_CHOICE,
     .initial = "auto",
     .choices = an_progress_form_names,
     .offset = FIELD(progress),
     .help = "on standard error: a line for people, one JSON object a line for programs, or nothing"},
    {.name = "quiet", .key = 'q', .type = AN_OPTION_FLAG, .offset = FIELD(quiet), .help = "no progress, no summary"},
    {0},
};

const an_options an_ingest_options = {
    .program = "an-ingest",
    .usage = "SOURCE DESTINATION\ninfo [OPTION...] DATASET\nverify [OPTION...] DATASET\n"
             "export [OPTION...] DATASET FOLDER\nsheet [OPTION...] DATASET PNG\nstats [OPTION...] DATASET\n"
             "transcode [OPTION...] DATASET DESTINATION",
    .summary =
        "Pack a labelled image collection into a dataset: every image is resized (shorter side to --size, centre "
        "crop), encoded and written to DESTINATION, an LMDB folder. One destination for each split. An interrupted "
        "ingest is continued by the "
        "same command.",
    .epilogue = "Examples:\n"
                "  $ an-ingest photos/train train.data\n"
                "  $ an-ingest --classes-from train.data photos/val val.data\n"
                "  $ an-ingest ILSVRC2012_img_train.tar train.data\n"
                "  $ an-ingest --devkit ILSVRC2012_devkit_t12.tar.gz ILSVRC2012_img_val.tar val.data\n"
                "  $ an-ingest --size 72 train-images-idx3-ubyte.gz train.data\n"
                "  $ an-ingest verify train.data\n",
    .options = options,
    .arguments_min = 1,
    .arguments_max = 2,
};

int an_bad_limit_parse(const char *text, an_bad_limit *out)
{
    char *end;
    double value = strtod(text, &end);
    out->relative = strcmp(end, "%") == 0;
    if (end == text || !(value >= 0) || (out->relative ? value > 100 : *end || value > 1e15 || value != floor(value)))
        return an_error(AN_EINVAL, "--max-bad '%s': expected a number of inputs or a percentage such as 1%%", text);
    out->share = value / 100;
    out->count = out->relative ? 0 : (uint64_t)value;
    return AN_OK;
}

uint64_t an_bad_limit_of(const an_bad_limit *limit, uint64_t items)
{
    if (!limit->relative)
        return limit->count;
    uint64_t share = (uint64_t)(limit->share * (double)items), small = items / 2 < 10 ? items / 2 : 10;
    return limit->share == 0 || share > small ? share : small;
}

int an_ingest_codec_parse(const char *text, an_codec *codec, double *raw_share)
{
    *raw_share = 0;
    if (strncmp(text, "mixed:", 6) != 0) {
        int rc = an_codec_from_name(text, codec);
        return rc ? an_error_prefix(rc, "--codec '%s'", text) : AN_OK;
    }
    char *end;
    *codec = AN_CODEC_JPEG;
    *raw_share = strtod(text + 6, &end);
    if (end == text + 6 || *end || !(*raw_share >= 0 && *raw_share <= 1))
        return an_error(AN_EINVAL, "--codec '%s': expected mixed:P with P from 0 to 1", text);
    return AN_OK;
}
