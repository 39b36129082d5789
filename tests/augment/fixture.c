#include "fixture.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/rng.h"
#include "store/codec.h"
#include "store/dataset/writer.h"

void fixture_picture(uint64_t i, uint32_t side, an_image *image)
{
    assert_int_equal(an_image_set_size(image, side, side), AN_OK);
    an_rng rng = an_rng_make(77, AN_RNG_TEST, 0, i);
    uint8_t *p = image->pixels;
    for (uint32_t y = 0; y < side; y++)
        for (uint32_t x = 0; x < side; x++, p += 3) {
            uint32_t noise = an_rng_u32(&rng);
            p[0] = (uint8_t)(20 + x * 180 / side + (noise & 15));
            p[1] = (uint8_t)(20 + y * 180 / side + (noise >> 8 & 15));
            p[2] = (uint8_t)(20 + i * 29 % 180 + (noise >> 16 & 15));
        }
}

static void put(an_writer *writer, an_encoder *encoder, uint64_t i, an_codec codec, const an_image *image,
                an_buffer *payload)
{
    const an_codec_options options = {.codec = codec, .quality = 90, .subsampling = AN_JPEG_420};
    char name[32];
    snprintf(name, sizeof name, "class/%llu.png", (unsigned long long)i);
    payload->size = 0;
    assert_int_equal(an_encoder_encode(encoder, image, &options, payload), AN_OK);
    an_record_header header = {.codec = codec,
                               .width = image->width,
                               .height = image->height,
                               .label = (uint32_t)(i % 10),
                               .length = (uint32_t)payload->size};
    assert_int_equal(an_writer_put(writer, &header, payload->data, name), AN_OK);
}

static void write_dataset(const fixture *f, uint64_t count, uint32_t side, const an_codec *codecs, size_t codec_count,
                          const char *manifest)
{
    an_statistics_sums sums;
    an_writer *writer;
    an_encoder *encoder;
    an_image image = {0};
    an_buffer payload = {0};
    assert_int_equal(an_statistics_sums_init(&sums, side), AN_OK);
    assert_int_equal(an_writer_open(&writer, f->path, manifest, side, &sums), AN_OK);
    assert_int_equal(an_encoder_create(&encoder), AN_OK);
    for (uint32_t label = 0; label < 10; label++) {
        char id[16];
        snprintf(id, sizeof id, "class-%u", label);
        assert_int_equal(an_writer_class(writer, label, id, id), AN_OK);
    }
    for (uint64_t i = 0; i < count; i++) {
        fixture_picture(i, side, &image);
        assert_int_equal(an_statistics_sums_add(&sums, &image), AN_OK);
        put(writer, encoder, i, codecs[i % codec_count], &image, &payload);
    }
    int rc = an_writer_finish(writer);
    if (rc)
        fail_msg("%s", an_error_message());
    an_encoder_free(encoder);
    an_buffer_free(&payload);
    an_image_free(&image);
    an_statistics_sums_free(&sums);
}

void fixture_make(fixture *f, uint64_t count, uint32_t side, const an_codec *codecs, size_t codec_count)
{
    fixture_make_with(f, count, side, codecs, codec_count, "{\"source\": \"fixture\"}");
}

void fixture_make_with(fixture *f, uint64_t count, uint32_t side, const an_codec *codecs, size_t codec_count,
                       const char *manifest)
{
    strcpy(f->folder, "/tmp/an-test-augment-XXXXXX");
    assert_non_null(mkdtemp(f->folder));
    snprintf(f->path, sizeof f->path, "%s/set", f->folder);
    write_dataset(f, count, side, codecs, codec_count, manifest);
    if (an_dataset_open(&f->dataset, f->path))
        fail_msg("%s", an_error_message());
}

void fixture_drop(fixture *f)
{
    static const char *const files[] = {"set/data.mdb", "set/lock.mdb", "set", ""};
    an_dataset_free(f->dataset);
    f->dataset = NULL;
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) {
        char path[160];
        snprintf(path, sizeof path, "%s/%s", f->folder, files[i]);
        remove(path);
    }
}

void fixture_flip_byte(const fixture *f, uint64_t i)
{
    fixture_flip_byte_at(f, i, AN_RECORD_HEADER_SIZE + an_dataset_index(f->dataset)[i].length / 2);
}

void fixture_flip_byte_at(const fixture *f, uint64_t i, uint32_t number)
{
    off_t at = (off_t)(an_dataset_index(f->dataset)[i].offset + number);
    uint8_t byte;
    int fd = open(an_dataset_file(f->dataset), O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pread(fd, &byte, 1, at), 1);
    byte ^= 0x55;
    assert_int_equal(pwrite(fd, &byte, 1, at), 1);
    assert_int_equal(close(fd), 0);
}
