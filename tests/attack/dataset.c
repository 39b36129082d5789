#include "tests/attack/dataset.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/rng.h"
#include "store/codec.h"
#include "store/dataset/layout_private.h"
#include "store/dataset/writer.h"

enum { SIDE = 40, RECORDS = 203, CLASSES = 10, REJECT_EVERY = 20, COMMIT_EVERY = 30 };

static const an_codec codecs[] = {AN_CODEC_JPEG, AN_CODEC_RGB, AN_CODEC_YUV420, AN_CODEC_COEF};

static void paint(uint64_t i, an_image *image)
{
    an_rng rng = an_rng_make(5, AN_RNG_TEST, 0, i);
    for (uint32_t k = 0; k < 3 * SIDE * SIDE; k++)
        image->pixels[k] = (uint8_t)(i * 29 + k / SIDE + an_rng_below(&rng, 16));
}

static int put_record(an_writer *writer, an_statistics_sums *sums, an_encoder *encoder, uint64_t i, an_image *image)
{
    const an_codec_options options = {
        .codec = codecs[i % (sizeof codecs / sizeof *codecs)], .quality = 90, .subsampling = AN_JPEG_420};
    an_buffer payload = {0};
    char name[40];
    paint(i, image);
    int rc = an_statistics_sums_add(sums, image);
    if (!rc)
        rc = an_encoder_encode(encoder, image, &options, &payload);
    an_record_header header = {.codec = options.codec,
                               .width = SIDE,
                               .height = SIDE,
                               .label = (uint32_t)(i % CLASSES),
                               .length = (uint32_t)payload.size};
    snprintf(name, sizeof name, "class-%u/picture-%llu.png", header.label, (unsigned long long)i);
    if (!rc)
        rc = an_writer_put(writer, &header, payload.data, name);
    an_buffer_free(&payload);
    return rc;
}

static int put_classes(an_writer *writer)
{
    int rc = AN_OK;
    for (uint32_t label = 0; !rc && label < CLASSES; label++) {
        char id[24];
        snprintf(id, sizeof id, "class-%u", label);
        rc = an_writer_class(writer, label, id, id);
    }
    return rc;
}

static int put_all(an_writer *writer, an_statistics_sums *sums, an_encoder *encoder, an_image *image)
{
    int rc = put_classes(writer);
    for (uint64_t i = an_writer_count(writer); !rc && i < RECORDS; i++) {
        rc = put_record(writer, sums, encoder, i, image);
        if (!rc && i % REJECT_EVERY == 0)
            rc = an_writer_reject(writer, "class-0/bad.png", "not an image", i);
        if (!rc && i % COMMIT_EVERY == 0)
            rc = an_writer_commit(writer);
    }
    return rc;
}

static int fill(an_writer *writer, an_statistics_sums *sums)
{
    an_encoder *encoder = NULL;
    an_image image = {0};
    int rc = an_image_set_size(&image, SIDE, SIDE);
    if (!rc)
        rc = an_encoder_create(&encoder);
    if (!rc)
        rc = put_all(writer, sums, encoder, &image);
    an_encoder_free(encoder);
    an_image_free(&image);
    return rc;
}

int attack_dataset_make(const char *path)
{
    an_statistics_sums sums;
    an_writer *writer;
    int rc = an_statistics_sums_init(&sums, SIDE);
    if (rc)
        return rc;
    rc = an_writer_open(&writer, path, "{\"source\": \"attack\"}", SIDE, &sums);
    if (!rc) {
        rc = fill(writer, &sums);
        if (rc)
            an_writer_close(writer);
        else
            rc = an_writer_finish(writer);
    }
    an_statistics_sums_free(&sums);
    return rc;
}

int attack_dataset_continue(const char *path)
{
    return attack_dataset_make(path);
}

/* ------------------------------------------------------------------------------------- the checksum ---- */

typedef struct {
    an_lmdb_file file;
    an_dataset_layout_checksum *checksum;
    uint64_t offset; /* of the stored checksum; 0: not seen */
} summing;

static int sum_item(void *context, const an_lmdb_item *item)
{
    summing *s = context;
    an_dataset_layout_checksum_add(s->checksum, &s->file, item);
    if (strcmp(item->database, AN_DATASET_LAYOUT_META) == 0 && item->length == 8 &&
        item->key_size == strlen(AN_DATASET_LAYOUT_CHECKSUM) &&
        memcmp(item->key, AN_DATASET_LAYOUT_CHECKSUM, item->key_size) == 0)
        s->offset = item->offset;
    return AN_OK;
}

static bool overwrite(const char *data, uint64_t offset, const uint8_t value[8])
{
    int fd = open(data, O_WRONLY | O_CLOEXEC);
    bool done = fd >= 0 && pwrite(fd, value, 8, (off_t)offset) == 8;
    return fd >= 0 && close(fd) == 0 && done;
}

bool attack_dataset_repair(const char *data, an_buffer *bytes)
{
    summing s = {.checksum = NULL};
    int rc = an_lmdb_file_open(&s.file, data);
    if (rc)
        return false;
    rc = an_dataset_layout_checksum_create(&s.checksum);
    if (!rc)
        rc = an_lmdb_file_walk(&s.file, NULL, sum_item, &s);
    uint64_t sum = rc ? 0 : an_dataset_layout_checksum_value(s.checksum);
    an_dataset_layout_checksum_free(s.checksum);
    an_lmdb_file_close(&s.file);
    if (rc || !s.offset || s.offset + 8 > bytes->size)
        return false;
    an_bytes_put_u64(bytes->data + s.offset, sum);
    return overwrite(data, s.offset, bytes->data + s.offset);
}
