/* A writer's options, and the manifest that keeps them. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/version.h"
#include "liban/common_private.h"
#include "liban/writer_private.h"
#include "store/dataset/dataset.h"

/* The sides that an-ingest makes. */
#define SIDE_MIN 8
#define SIDE_MAX 4096
#define PIXELS_MAX UINT64_C(1000000000000) /* the largest limit that can be set */

static int take_options(const liban_writer_options *given, liban_writer_options *out)
{
    static const size_t sizes[] = {AN_LIB_END_OF(liban_writer_options, source)};
    *out = (liban_writer_options)LIBAN_WRITER_OPTIONS_INIT;
    int rc = an_lib_take_options(out, given, sizes, LIBAN_WRITER_OPTIONS_VERSION, "liban_writer_options");
    if (rc)
        return rc;
    if (!out->pixels_max)
        out->pixels_max = AN_PICTURE_PIXELS_MAX;
    if (!out->source)
        out->source = "liban";
    if (!out->codec)
        return an_error(LIBAN_EINVAL, "codec is NULL: name one");
    return LIBAN_OK;
}

static int subsampling_of(int number, an_jpeg_subsampling *out)
{
    static const struct {
        int number;
        an_jpeg_subsampling subsampling;
    } all[] = {{420, AN_JPEG_420}, {422, AN_JPEG_422}, {444, AN_JPEG_444}};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i].number == number) {
            *out = all[i].subsampling;
            return LIBAN_OK;
        }
    return an_error(LIBAN_EINVAL, "subsampling %d: expected 420, 422 or 444", number);
}

static int read_options(const liban_writer_options *o, an_recorder_options *out)
{
    if (o->side < SIDE_MIN || o->side > SIDE_MAX)
        return an_error(LIBAN_EINVAL, "side %u is outside %d..%d", o->side, SIDE_MIN, SIDE_MAX);
    if (o->quality < 1 || o->quality > 100)
        return an_error(LIBAN_EINVAL, "quality %d is outside 1..100", o->quality);
    if (o->pixels_max > PIXELS_MAX)
        return an_error(LIBAN_EINVAL, "pixels_max %" PRIu64 " is above %" PRIu64, o->pixels_max, PIXELS_MAX);
    *out = (an_recorder_options){
        .picture = {.side = o->side, .filter = AN_FILTER_TRIANGLE, .pixels_max = o->pixels_max},
        .codec = {.quality = o->quality},
    };
    int rc = an_codec_from_name(o->codec, &out->codec.codec);
    if (rc)
        return an_error_prefix(LIBAN_EINVAL, "codec '%s'", o->codec);
    return subsampling_of(o->subsampling, &out->codec.subsampling);
}

/* The keys are those of an-ingest's manifests where they mean the same. What an-ingest knows of a whole source, such as
 * its number of images, is missing. */
static int make_manifest(const liban_writer_options *o, char **out)
{
    json_t *source = json_string(o->source);
    if (!source)
        return an_error(LIBAN_EINVAL, "source is no UTF-8 text: it becomes part of a JSON text");
    char subsampling[16];
    snprintf(subsampling, sizeof subsampling, "%d", o->subsampling);
    json_t *object = json_pack("{ss, si, si, so, si, ss, si, ss, ss, sI}", "program", "liban " AN_VERSION, "format",
                               AN_DATASET_VERSION, "pixels", AN_PICTURE_VERSION, "source", source, "size", (int)o->side,
                               "codec", o->codec, "quality", o->quality, "subsampling", subsampling, "filter",
                               "triangle", "max-pixels", (json_int_t)o->pixels_max);
    *out = object ? json_dumps(object, JSON_SORT_KEYS | JSON_COMPACT) : NULL;
    json_decref(object);
    return *out ? LIBAN_OK : an_error(LIBAN_ENOMEM, "out of memory for the manifest");
}

int an_lib_writer_options(const liban_writer_options *options, an_recorder_options *out, char **manifest)
{
    liban_writer_options known;
    *manifest = NULL;
    int rc = take_options(options, &known);
    if (!rc)
        rc = read_options(&known, out);
    return rc ? rc : make_manifest(&known, manifest);
}
