#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "base/error.h"
#include "base/rng.h"
#include "model/nets/nets.h"
#include "store/dataset/writer.h"
#include "tests/train/fixture.h"
#include "train/setup/network.h"

/* A square of the class's colour and place on noise. */
static void draw(an_image *image, uint32_t label, uint32_t seed, uint32_t number)
{
    an_rng rng = an_rng_make(seed, AN_RNG_TEST, label, number);
    for (size_t i = 0; i < (size_t)FIXTURE_SIDE * FIXTURE_SIDE * 3; i++)
        image->pixels[i] = (uint8_t)(an_rng_u32(&rng) % 96);
    uint32_t corner = 4 + 6 * (label % 4);
    for (uint32_t y = corner; y < corner + 8; y++)
        for (uint32_t x = corner; x < corner + 8; x++)
            image->pixels[(y * FIXTURE_SIDE + x) * 3 + label % 3] = 255;
}

static void put(an_writer *writer, an_statistics_sums *sums, const an_image *image, uint32_t label, uint32_t number)
{
    char name[32];
    snprintf(name, sizeof(name), "image-%u", number);
    an_record_header header = {.codec = AN_CODEC_RGB,
                               .width = FIXTURE_SIDE,
                               .height = FIXTURE_SIDE,
                               .label = label,
                               .length = FIXTURE_SIDE * FIXTURE_SIDE * 3};
    assert_int_equal(an_statistics_sums_add(sums, image), AN_OK);
    assert_int_equal(an_writer_put(writer, &header, image->pixels, name), AN_OK);
}

void fixture_dataset(const char *path, uint32_t images, uint32_t classes, uint32_t seed)
{
    an_statistics_sums sums;
    an_writer *writer;
    an_image image = {0};
    char text[64];
    assert_int_equal(an_statistics_sums_init(&sums, FIXTURE_SIDE), AN_OK);
    assert_int_equal(an_image_set_size(&image, FIXTURE_SIDE, FIXTURE_SIDE), AN_OK);
    assert_int_equal(an_writer_open(&writer, path, "{}", FIXTURE_SIDE, &sums), AN_OK);
    for (uint32_t i = 0; i < classes; i++) {
        snprintf(text, sizeof(text), "class-%u", i);
        assert_int_equal(an_writer_class(writer, i, text, text), AN_OK);
    }
    for (uint32_t i = 0; i < images; i++) {
        draw(&image, i % classes, seed, i);
        put(writer, &sums, &image, i % classes, i);
    }
    assert_int_equal(an_writer_finish(writer), AN_OK);
    an_statistics_sums_free(&sums);
    an_image_free(&image);
}

void fixture_config(an_train_config *config)
{
    static const an_options whole = {.program = "an-train", .options = an_train_options};
    assert_int_equal(an_options_init(&whole, config), AN_OK);
    config->network = an_net_find("cifar");
    config->batch = 4;
    config->crop = FIXTURE_CROP;
    config->init = AN_INIT_HE;
    config->loader_threads = 1;
    config->compute_threads = 1;
    config->epochs = 2;
    config->save_every = 0;
    config->log_every = 1;
    config->schedule = AN_SCHEDULE_CONSTANT;
    config->last = AN_LAST_DROP; /* epochs of whole steps are easy to count; tests of --last choose for themselves */
}
