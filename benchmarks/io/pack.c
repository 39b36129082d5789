/* Some of a dataset's images encoded again in another codec, in memory. */
#include <stdlib.h>

#include "base/buffer.h"
#include "base/error.h"
#include "benchmarks/io/bench_io.h"
#include "store/codec.h"

#define PACK_IMAGES 200

/* Takes an image from one codec to another. */
typedef struct {
    an_encoder *encoder;
    an_decoder *decoder;
    an_image image;
} packer;

static int packer_init(packer *p)
{
    int rc = an_encoder_create(&p->encoder);
    if (rc)
        return rc;
    return an_decoder_create(&p->decoder);
}

static void packer_clear(packer *p)
{
    an_encoder_free(p->encoder);
    an_decoder_free(p->decoder);
    an_image_free(&p->image);
}

/* As an-ingest transcode does it: without loss where that is possible, else through pixels. */
static int pack_record(packer *p, const an_record *record, an_codec codec, an_buffer *out)
{
    const an_codec_options options = {.codec = codec, .quality = 90, .subsampling = AN_JPEG_420};
    const an_record_header *h = &record->header;
    int rc = an_encoder_convert(p->encoder, h->codec, record->payload, h->length, codec, out);
    if (rc != AN_EUNSUPPORTED)
        return rc;
    rc = an_image_set_size(&p->image, h->width, h->height);
    if (rc)
        return rc;
    rc = an_decoder_window(p->decoder, record, 0, 0, h->width, h->height, p->image.pixels, (size_t)h->width * 3);
    if (rc)
        return rc;
    return an_encoder_encode(p->encoder, &p->image, &options, out);
}

/* Append the payload of one of the dataset's records in the codec, and fill in its header. */
static int pack_one(bench_pack *pack, an_buffer *bytes, const an_record *record, an_codec codec, packer *p,
                    an_record_header *header)
{
    uint8_t written[AN_RECORD_HEADER_SIZE];
    size_t before = bytes->size;
    int rc = pack_record(p, record, codec, bytes);
    if (rc)
        return rc;
    *header = record->header;
    header->codec = codec;
    header->length = (uint32_t)(bytes->size - before);
    pack->changed += record->header.codec != codec;
    an_record_header_write(header, bytes->data + before, written);
    return AN_OK;
}

static int pack_fill(bench_pack *pack, an_buffer *bytes, const an_dataset *dataset, an_codec codec, packer *p)
{
    uint64_t step = an_dataset_count(dataset) / pack->count;
    for (uint64_t i = 0; i < pack->count; i++) {
        an_record record;
        int rc = an_dataset_record(dataset, i * step, &record);
        if (rc)
            return rc;
        rc = pack_one(pack, bytes, &record, codec, p, &pack->records[i].header);
        if (rc)
            return rc;
    }
    return AN_OK;
}

int bench_pack_make(bench_pack *out, const an_dataset *dataset, an_codec codec)
{
    packer p = {0};
    an_buffer bytes = {0};
    uint64_t count = an_dataset_count(dataset) < PACK_IMAGES ? an_dataset_count(dataset) : PACK_IMAGES;
    *out = (bench_pack){.count = count, .records = calloc(count, sizeof *out->records)};
    if (!out->records)
        return an_error(AN_ENOMEM, "out of memory for %llu records", (unsigned long long)count);
    int rc = packer_init(&p);
    if (rc)
        goto done;
    rc = pack_fill(out, &bytes, dataset, codec, &p);
    if (rc)
        goto done;
    const uint8_t *payload = bytes.data;
    for (uint64_t i = 0; i < count; i++) {
        out->records[i].payload = payload;
        payload += out->records[i].header.length;
    }
    out->bytes = bytes.size + count * AN_RECORD_HEADER_SIZE;
done:
    out->memory = bytes.data;
    packer_clear(&p);
    return rc;
}

void bench_pack_free(bench_pack *pack)
{
    free(pack->records);
    free(pack->memory);
}
