#include "ingest/picture/recorder.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/rng.h"
#include "base/text/utf8.h"
#include "store/codec.h"

#define INPUT_KEEP ((size_t)4 << 20) /* bytes; a larger input buffer is freed after use */

struct an_recorder {
    an_recorder_options options;
    an_picture *picture;
    an_encoder *encoder;
    an_buffer input;
    an_image square;
};

int an_recorder_create(an_recorder **out, const an_recorder_options *options)
{
    an_recorder *recorder = calloc(1, sizeof(*recorder));
    if (!recorder)
        return an_error(AN_ENOMEM, "out of memory for a recorder");
    recorder->options = *options;
    int rc = an_picture_create(&recorder->picture, &options->picture);
    if (!rc)
        rc = an_encoder_create(&recorder->encoder);
    if (rc) {
        an_recorder_free(recorder);
        return rc;
    }
    *out = recorder;
    return AN_OK;
}

void an_recorder_free(an_recorder *recorder)
{
    if (!recorder)
        return;
    an_picture_free(recorder->picture);
    an_encoder_free(recorder->encoder);
    an_buffer_free(&recorder->input);
    an_image_free(&recorder->square);
    free(recorder);
}

const an_image *an_recorder_image(const an_recorder *recorder)
{
    return &recorder->square;
}

/* Is the input at fault? Other codes (AN_EIO, AN_ENOMEM ...) say that the system is: they end the run, and the same
 * command continues it. */
static bool is_bad_input(int rc)
{
    return rc == AN_ECORRUPT || rc == AN_EUNSUPPORTED || rc == AN_ENOTFOUND;
}

/* A message that is too long is cut between two characters: it may quote a name. */
static void keep_reason(an_recording *out, const char *message)
{
    size_t length = an_utf8_cut(message, strlen(message), sizeof(out->reason) - 1);
    memcpy(out->reason, message, length);
    out->reason[length] = 0;
}

static an_codec_options codec_of(const an_recorder_options *options, uint64_t number)
{
    an_codec_options codec = options->codec;
    an_rng rng = an_rng_make(options->seed, AN_RNG_SPLIT, 0, number);
    if (options->raw_share > 0 && an_rng_uniform(&rng) < options->raw_share)
        codec.codec = AN_CODEC_YUV420;
    return codec;
}

/* Make the payload from the input's own bytes where its codec can become the wanted one without loss. AN_AGAIN: the
 * pixels must be encoded. */
static int pass(an_recorder *recorder, const an_picture_info *info, const an_codec_options *codec, bool is_file,
                an_buffer *out)
{
    if (!info->fit || (is_file && codec->subsampling != AN_JPEG_420))
        return AN_AGAIN;
    if (!an_codec_lossless(info->fit_codec, codec->codec))
        return AN_AGAIN;
    int rc = an_encoder_convert(recorder->encoder, info->fit_codec, info->fit, info->fit_size, codec->codec, out);
    return rc == AN_EUNSUPPORTED ? AN_AGAIN : rc;
}

static int encode(an_recorder *recorder, const an_picture_info *info, bool is_file, uint32_t label, uint64_t number,
                  an_recording *out)
{
    an_codec_options codec = codec_of(&recorder->options, number);
    out->payload.size = 0;
    int rc = pass(recorder, info, &codec, is_file, &out->payload);
    out->passed = !rc;
    if (rc == AN_AGAIN)
        rc = an_encoder_encode(recorder->encoder, &recorder->square, &codec, &out->payload);
    out->header = (an_record_header){.codec = codec.codec,
                                     .width = recorder->square.width,
                                     .height = recorder->square.height,
                                     .label = label,
                                     .length = (uint32_t)out->payload.size};
    return rc;
}

/* The picture could not be made: is that the input's fault? */
static int refuse(int rc, an_recording *out)
{
    out->rejected = is_bad_input(rc);
    if (!out->rejected)
        return rc;
    out->code = rc;
    keep_reason(out, an_error_message());
    return AN_OK;
}

/* bytes: of the item, which was loaded with the status rc. */
static int make(an_recorder *recorder, const an_item *item, int rc, const an_buffer *bytes, uint64_t number,
                an_recording *out)
{
    an_picture_info info;
    if (!rc)
        rc = an_picture_make(recorder->picture, item, bytes, &recorder->square, &info);
    if (rc)
        return refuse(rc, out);
    out->rejected = false;
    out->warned = info.warnings > 0;
    return encode(recorder, &info, item->kind == AN_ITEM_FILE, item->label, number, out);
}

int an_recorder_make(an_recorder *recorder, const an_item *item, uint64_t number, an_recording *out)
{
    int rc = an_item_load(item, AN_ITEM_BYTES_MAX, &recorder->input);
    rc = make(recorder, item, rc, &recorder->input, number, out);
    if (recorder->input.capacity > INPUT_KEEP)
        an_buffer_free(&recorder->input);
    return rc;
}

int an_recorder_make_bytes(an_recorder *recorder, const void *bytes, size_t size, uint32_t label, uint64_t number,
                           an_recording *out)
{
    const an_item item = {.kind = AN_ITEM_FILE, .label = label, .size = size, .fd = -1};
    const an_buffer view = {.data = (uint8_t *)(uintptr_t)bytes, .size = size}; /* it is only read */
    int rc = AN_OK;
    if (size > AN_ITEM_BYTES_MAX)
        rc = an_error(AN_EUNSUPPORTED, "%zu bytes are more than the limit of %zu", size, AN_ITEM_BYTES_MAX);
    return make(recorder, &item, rc, &view, number, out);
}

int an_recorder_make_pixels(an_recorder *recorder, const an_picture_pixels *pixels, uint32_t label, uint64_t number,
                            an_recording *out)
{
    const an_picture_info info = {0};
    int rc = an_picture_make_pixels(recorder->picture, pixels, &recorder->square);
    if (rc)
        return refuse(rc, out);
    out->rejected = false;
    out->warned = false;
    return encode(recorder, &info, false, label, number, out);
}
