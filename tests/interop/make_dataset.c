/* Writes a small dataset with records in every codec, for dataset.py to read, and beside it what dataset.py should
 * find. make_dataset FOLDER writes FOLDER/set, FOLDER/source.rgb (the pixels before they were encoded),
 * FOLDER/decoded.rgb (the pixels that our decoder gives) and FOLDER/fingerprint (16 hexadecimal digits). */
#include <inttypes.h>
#include <stdio.h>

#include "base/error.h"
#include "base/file.h"
#include "store/codec.h"
#include "store/dataset/dataset.h"
#include "store/dataset/writer.h"
#include "tests/store/jpeg_support.h"

enum { SIDE = 37, COUNT = 24, CLASSES = 3 };

typedef struct {
    an_encoder *encoder;
    an_decoder *decoder;
    an_writer *writer;
    an_statistics_sums sums;
    an_image image;
    an_buffer payload, source, decoded;
} work;

static int complain(void)
{
    fprintf(stderr, "make_dataset: %s\n", an_error_message());
    return 1;
}

static int put(work *w, uint32_t i)
{
    uint32_t codecs = (uint32_t)an_codec_count();
    static const an_jpeg_subsampling subsamplings[] = {AN_JPEG_420, AN_JPEG_422, AN_JPEG_444};
    static uint8_t pixels[SIDE * SIDE * 3];
    an_codec_options options = {an_codec_at(i % codecs), 90, subsamplings[i / codecs % 3]};
    char name[32];
    test_image_make(&w->image, SIDE, SIDE, i);
    w->payload.size = 0;
    int rc = an_encoder_encode(w->encoder, &w->image, &options, &w->payload);
    an_record record = {{.codec = options.codec,
                         .width = SIDE,
                         .height = SIDE,
                         .label = i * 7 % CLASSES,
                         .length = (uint32_t)w->payload.size},
                        w->payload.data};
    snprintf(name, sizeof name, "class/%u.JPEG", i);
    if (!rc)
        rc = an_decoder_window(w->decoder, &record, 0, 0, SIDE, SIDE, pixels, SIDE * 3);
    if (!rc)
        rc = an_buffer_append(&w->decoded, pixels, sizeof pixels);
    if (!rc)
        rc = an_buffer_append(&w->source, w->image.pixels, sizeof pixels);
    if (!rc)
        rc = an_statistics_sums_add(&w->sums, &w->image);
    return rc ? rc : an_writer_put(w->writer, &record.header, w->payload.data, name);
}

static int fill(work *w)
{
    static const char *const names[CLASSES] = {"tench", "gold, fish", "h\xc3\xa9ron"};
    int rc = AN_OK;
    for (uint32_t i = 0; !rc && i < CLASSES; i++) {
        char id[16];
        snprintf(id, sizeof id, "n%u", i);
        rc = an_writer_class(w->writer, i, id, names[i]);
    }
    for (uint32_t i = 0; !rc && i < COUNT; i++)
        rc = put(w, i);
    return rc ? rc : an_writer_reject(w->writer, "class/broken.JPEG", "not an image", 17);
}

static int write_beside(const char *folder, const char *name, const an_buffer *bytes)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return an_file_write_atomic(path, bytes->data, bytes->size);
}

static int write_fingerprint(const char *folder, const char *path)
{
    an_dataset *dataset;
    an_buffer text = {0};
    int rc = an_dataset_open(&dataset, path);
    if (!rc)
        rc = an_buffer_printf(&text, "%016" PRIx64, an_dataset_fingerprint(dataset));
    if (!rc)
        rc = write_beside(folder, "fingerprint", &text);
    an_buffer_free(&text);
    an_dataset_free(dataset);
    return rc;
}

static int make(work *w, const char *folder)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/set", folder);
    int rc = an_encoder_create(&w->encoder);
    if (!rc)
        rc = an_decoder_create(&w->decoder);
    if (!rc)
        rc = an_statistics_sums_init(&w->sums, SIDE);
    if (!rc)
        rc = an_writer_open(&w->writer, path, "{\"source\":\"interop\"}", SIDE, &w->sums);
    if (!rc)
        rc = fill(w);
    if (!rc)
        rc = an_writer_finish(w->writer);
    if (!rc)
        rc = write_fingerprint(folder, path);
    if (!rc)
        rc = write_beside(folder, "source.rgb", &w->source);
    return rc ? rc : write_beside(folder, "decoded.rgb", &w->decoded);
}

int main(int argc, char **argv)
{
    work w = {0};
    if (argc != 2) {
        fprintf(stderr, "usage: make_dataset FOLDER\n");
        return 2;
    }
    int rc = make(&w, argv[1]);
    an_encoder_free(w.encoder);
    an_decoder_free(w.decoder);
    an_statistics_sums_free(&w.sums);
    an_image_free(&w.image);
    an_buffer_free(&w.payload);
    an_buffer_free(&w.source);
    an_buffer_free(&w.decoded);
    return rc ? complain() : 0;
}
