/* Makes a dataset of two others that hold the same pictures: every third record is the second one's, all others are the
 * first one's. remake FIRST SECOND DESTINATION [DAMAGED]
 *
 * DAMAGED is the number of a record of the first whose payload is changed so that it has a right checksum and a sound
 * header, and cannot be decoded in the middle. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "store/codec.h"
#include "store/coef/coef.h"
#include "store/dataset/dataset.h"
#include "store/dataset/writer.h"

typedef struct {
    an_dataset *from[2], *made;
    an_decoder *decoder;
    an_writer *writer;
    an_statistics_sums sums;
    an_image image;
    uint64_t damaged; /* UINT64_MAX: none */
} work;

static bool breaks(work *w, const an_record *record)
{
    static uint8_t rows[8 * 4096 * 3];
    an_coef_info info;
    uint32_t side = record->header.width;
    if (an_coef_info_read(record->payload, record->header.length, &info))
        return false;
    return an_decoder_window(w->decoder, record, 0, side / 2 - 4, side, 8, rows, side * (size_t)3) == AN_ECORRUPT;
}

/* The first byte, from the end, that breaks the picture when its bits are turned around. */
static int damage(work *w, an_record *record, uint8_t *payload)
{
    memcpy(payload, record->payload, record->header.length);
    record->payload = payload;
    for (uint32_t i = record->header.length; i-- > 0; payload[i] ^= 0xFF) {
        payload[i] ^= 0xFF;
        if (breaks(w, record))
            return AN_OK;
    }
    return an_error(AN_EINVAL, "no byte breaks it");
}

static int put_named(work *w, const an_dataset *from, uint64_t number, an_record *record)
{
    const char *name;
    char text[256];
    size_t length;
    int rc = an_dataset_name(from, number, &name, &length);
    if (rc)
        return rc;
    snprintf(text, sizeof text, "%.*s", (int)length, name);
    return an_writer_put(w->writer, &record->header, record->payload, text);
}

static int put(work *w, uint64_t number)
{
    an_record record;
    const an_dataset *from = w->from[number % 3 == 2];
    uint32_t side = an_dataset_side(from);
    int rc = an_dataset_record(from, number, &record);
    if (!rc)
        rc = an_image_set_size(&w->image, side, side);
    if (!rc)
        rc = an_decoder_window(w->decoder, &record, 0, 0, side, side, w->image.pixels, side * (size_t)3);
    if (!rc)
        rc = an_statistics_sums_add(&w->sums, &w->image);
    uint8_t *payload = rc ? NULL : malloc(record.header.length + 1);
    if (!rc && number == w->damaged)
        rc = damage(w, &record, payload);
    if (!rc)
        rc = put_named(w, from, number, &record);
    free(payload);
    return rc;
}

static int fill(work *w)
{
    int rc = AN_OK;
    for (uint32_t i = 0; !rc && i < an_dataset_class_count(w->from[0]); i++) {
        const an_class *class = an_dataset_class(w->from[0], i);
        rc = an_writer_class(w->writer, i, class->id, class->name);
    }
    for (uint64_t i = 0; !rc && i < an_dataset_count(w->from[0]); i++)
        rc = put(w, i);
    return rc;
}

/* Of two that are the same, the manifest says the same. */
static const char *manifest(const work *w, char **paths)
{
    return strcmp(paths[0], paths[1]) == 0 ? an_dataset_manifest(w->from[0]) : "{\"source\":\"remake\"}";
}

static int make(work *w, char **paths)
{
    int rc = an_dataset_open(&w->from[0], paths[0]);
    if (!rc)
        rc = an_dataset_open(&w->from[1], paths[1]);
    if (!rc)
        rc = an_decoder_create(&w->decoder);
    if (!rc)
        rc = an_statistics_sums_init(&w->sums, an_dataset_side(w->from[0]));
    if (!rc)
        rc = an_writer_open(&w->writer, paths[2], manifest(w, paths), an_dataset_side(w->from[0]), &w->sums);
    if (!rc)
        rc = fill(w);
    return rc ? rc : an_writer_finish(w->writer);
}

int main(int argc, char **argv)
{
    work w = {.damaged = argc > 4 ? strtoull(argv[4], NULL, 10) : UINT64_MAX};
    if (argc < 4) {
        fprintf(stderr, "usage: remake FIRST SECOND DESTINATION [DAMAGED]\n");
        return 2;
    }
    int rc = make(&w, argv + 1);
    if (rc)
        fprintf(stderr, "remake: %s\n", an_error_message());
    an_decoder_free(w.decoder);
    an_statistics_sums_free(&w.sums);
    an_image_free(&w.image);
    an_dataset_free(w.from[0]);
    an_dataset_free(w.from[1]);
    return rc ? 1 : 0;
}
