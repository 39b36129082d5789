/* Seeds for the fuzzers: make_corpus FOLDER writes FOLDER/record, FOLDER/window, FOLDER/coef, FOLDER/decode and
 * FOLDER/jpeg. */
#include <stdio.h>

#include "base/error.h"
#include "base/file.h"
#include "store/codec.h"
#include "store/coef/coef.h"
#include "tests/store/jpeg_support.h"

static const char *root;

static int save(const char *kind, int number, const uint8_t *prefix, size_t prefix_size, const an_buffer *bytes)
{
    char folder[4096], path[4200];
    an_buffer all = {0};
    snprintf(folder, sizeof folder, "%s/%s", root, kind);
    snprintf(path, sizeof path, "%s/seed-%02d", folder, number);
    int rc = an_file_make_folder(folder);
    if (!rc)
        rc = an_buffer_append(&all, prefix, prefix_size);
    if (!rc)
        rc = an_buffer_append(&all, bytes->data, bytes->size);
    if (!rc)
        rc = an_file_write_atomic(path, all.data, all.size);
    an_buffer_free(&all);
    return rc;
}

static int save_encoded(an_encoder *encoder, int number, an_codec codec, uint32_t width, uint32_t height)
{
    an_image image = {0};
    an_buffer payload = {0};
    an_codec_options options = {codec, 75, (an_jpeg_subsampling)(number % 3)};
    uint8_t header[AN_RECORD_HEADER_SIZE];
    const uint8_t prefix[] = {(uint8_t)(codec - 1), (uint8_t)(width - 1), (uint8_t)(height - 1), 2, 1, 200, 200};
    test_image_make(&image, width, height, (uint32_t)number);
    int rc = an_encoder_encode(encoder, &image, &options, &payload);
    an_record_header fields = {codec, width, height, 3, (uint32_t)payload.size, 0};
    if (!rc) {
        an_record_header_write(&fields, payload.data, header);
        rc = save("record", number, header, sizeof header, &payload);
    }
    if (!rc)
        rc = save("window", number, prefix, sizeof prefix, &payload);
    if (!rc && codec == AN_CODEC_COEF)
        rc = save("coef", number, prefix + 3, 4, &payload);
    an_image_free(&image);
    an_buffer_free(&payload);
    return rc;
}

static int save_jpegs(void)
{
    static const test_jpeg kinds[] = {
        {.width = 19, .height = 13, .space = TEST_YCC, .horizontal = 2, .vertical = 2},
        {.width = 19, .height = 13, .space = TEST_YCC, .horizontal = 2, .vertical = 2, .progressive = true},
        {.width = 19, .height = 13, .space = TEST_YCC, .horizontal = 4, .vertical = 1, .restart = 1},
        {.width = 19, .height = 13, .space = TEST_YCC, .horizontal = 1, .vertical = 2, .arithmetic = true},
        {.width = 19, .height = 13, .space = TEST_RGB, .horizontal = 1, .vertical = 1},
        {.width = 19, .height = 13, .space = TEST_GREY, .horizontal = 1, .vertical = 1},
        {.width = 19, .height = 13, .space = TEST_YCCK, .horizontal = 2, .vertical = 2},
    };
    int rc = AN_OK;
    for (int i = 0; !rc && i < (int)(sizeof kinds / sizeof *kinds); i++) {
        an_buffer file = {0};
        const uint8_t whole[] = {0}, window[] = {AN_CODEC_JPEG - 1, 18, 12, 3, 2, 9, 7};
        test_jpeg_make(&kinds[i], 1, &file);
        rc = save("jpeg", i, whole, sizeof whole, &file);
        if (!rc)
            rc = save("window", 20 + i, window, sizeof window, &file);
        if (!rc)
            rc = save("coef", 20 + i, window + 3, 4, &file);
        an_buffer_free(&file);
    }
    return rc;
}

/* Square payloads of all samplings, some of more than 32 blocks a row. */
static int save_payloads(void)
{
    an_coef_encoder *encoder;
    int rc = an_coef_encoder_create(&encoder);
    for (uint32_t i = 0; !rc && i < 12; i++) {
        an_buffer file = {0}, payload = {0};
        uint32_t side = i < 8 ? 9 + 8 * i : 270;
        test_jpeg kind = {.width = side, .height = side, .space = i % 4 ? TEST_YCC : TEST_GREY};
        const uint8_t window[] = {3, 2, (uint8_t)(side / 3), (uint8_t)i};
        kind.horizontal = i % 4 > 1 ? 2 : 1;
        kind.vertical = i % 4 > 2 ? 2 : 1;
        test_jpeg_make(&kind, i, &file);
        rc = an_coef_encode_jpeg(encoder, file.data, file.size, &payload);
        if (!rc)
            rc = save("decode", (int)i, window, sizeof window, &payload);
        an_buffer_free(&file);
        an_buffer_free(&payload);
    }
    an_coef_encoder_free(encoder);
    return rc;
}

static int save_all(an_encoder *encoder)
{
    int rc = save_jpegs();
    if (!rc)
        rc = save_payloads();
    for (int i = 0; !rc && i < 12; i++)
        rc = save_encoded(encoder, i, an_codec_at((size_t)i % an_codec_count()), 5 + 7 * (uint32_t)i, 20 - (uint32_t)i);
    return rc;
}

int main(int argc, char **argv)
{
    an_encoder *encoder = NULL;
    if (argc != 2) {
        fprintf(stderr, "usage: make_corpus FOLDER\n");
        return 2;
    }
    root = argv[1];
    int rc = an_encoder_create(&encoder);
    if (!rc)
        rc = save_all(encoder);
    an_encoder_free(encoder);
    if (rc)
        fprintf(stderr, "make_corpus: %s\n", an_error_message());
    return rc ? 1 : 0;
}
