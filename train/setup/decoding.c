#include "train/setup/decoding.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "augment/decoder.h"
#include "base/error.h"

/* A decoder tells what was wrong with all decodings since it was last asked. Two batches can be on their way, so each
 * slot of a device has a decoder of its own: what it tells is then about one batch. */
struct an_train_decoding {
    an_image_decoder decoder;
    an_batch_decoder *decoders[AN_GRAPH_DEVICES][AN_IMAGE_SLOTS];
};

static int queue(void *context, const an_image_decoding *d)
{
    an_train_decoding *decoding = context;
    return an_batch_decoder_queue(decoding->decoders[d->device][d->slot], d->block, d->size, d->count, d->pixels,
                                  d->stream);
}

static int result(void *context, int device, int slot, uint32_t *sample)
{
    an_train_decoding *decoding = context;
    return an_batch_decoder_result(decoding->decoders[device][slot], sample);
}

static int device_open(an_train_decoding *decoding, int device, const char *name, const an_train_decoding_options *o)
{
    an_batch_decoder_options options = {.device = name,
                                        .batch = o->batch,
                                        .side = o->side,
                                        .crop = o->crop,
                                        .format = {AN_DTYPE_U8, AN_LAYOUT_NHWC, 3},
                                        .scale = 1};
    int rc = AN_OK;
    for (int slot = 0; slot < AN_IMAGE_SLOTS && !rc; slot++)
        rc = an_batch_decoder_create(&decoding->decoders[device][slot], &options);
    return rc;
}

static int devices_open(an_train_decoding *decoding, const an_train_decoding_options *options)
{
    char text[256], *rest = text, *name;
    int rc = AN_OK;
    if (snprintf(text, sizeof text, "%s", options->devices) >= (int)sizeof text)
        return an_error(AN_EINVAL, "devices '%s': too long", options->devices);
    for (int i = 0; !rc && (name = strsep(&rest, ",")); i++)
        rc = i < AN_GRAPH_DEVICES ? device_open(decoding, i, name, options)
                                  : an_error(AN_EINVAL, "devices '%s': at most %d", options->devices, AN_GRAPH_DEVICES);
    return rc;
}

int an_train_decoding_create(an_train_decoding **out, const an_train_decoding_options *options)
{
    an_train_decoding *decoding = calloc(1, sizeof *decoding);
    if (!decoding)
        return an_error(AN_ENOMEM, "out of memory");
    decoding->decoder =
        (an_image_decoder){.context = decoding, .size = options->block, .queue = queue, .result = result};
    int rc = devices_open(decoding, options);
    if (rc) {
        an_train_decoding_free(decoding);
        return rc == AN_EUNSUPPORTED ? AN_EIO : rc; /* it is this machine that lacks something, not the data */
    }
    *out = decoding;
    return AN_OK;
}

void an_train_decoding_free(an_train_decoding *decoding)
{
    if (!decoding)
        return;
    for (int i = 0; i < AN_GRAPH_DEVICES; i++)
        for (int slot = 0; slot < AN_IMAGE_SLOTS; slot++)
            an_batch_decoder_free(decoding->decoders[i][slot]);
    free(decoding);
}

const an_image_decoder *an_train_decoding_decoder(const an_train_decoding *decoding)
{
    return decoding ? &decoding->decoder : NULL;
}

uint64_t an_train_decoding_memory(const an_train_decoding *decoding)
{
    uint64_t sum = 0;
    for (int i = 0; i < AN_GRAPH_DEVICES; i++)
        for (int slot = 0; slot < AN_IMAGE_SLOTS; slot++)
            sum += decoding->decoders[i][slot] ? an_batch_decoder_memory(decoding->decoders[i][slot]) : 0;
    return sum;
}
