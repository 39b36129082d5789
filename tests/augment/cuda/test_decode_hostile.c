/* Damaged payloads through the host form of the kernels: the same verdict and message as from the host's decoder, the
 * same pixels where both accept one, and no access outside of the block, which sanitizers see because it has exactly
 * its size.
 *
 *     test_augment_decode_hostile [MUTANTS]    20,000 by default */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/rng.h"
#include "store/coef/coef.h"
#include "tests/augment/cuda/payloads.h"

enum { SEEDS = 48 };

static uint32_t mutants = 20000, refused;

typedef struct {
    uint32_t side;
    an_buffer payload;
} seed;

static seed seeds[SEEDS];
static an_coef_decoder *decoder; /* portable C, the reference for what is out of range */

static int set_up(void **state)
{
    static const uint32_t sides[] = {1, 8, 9, 16, 24, 31, 40, 48, 64, 100, 264, 300};
    (void)state;
    for (uint32_t i = 0; i < SEEDS; i++) {
        seeds[i].side = sides[i / 4];
        payload_make((payload_kind)(i % 4), seeds[i].side, i % 3 ? 90 : 100, i, &seeds[i].payload);
    }
    return an_coef_decoder_create_tier(&decoder, AN_SIMD_SCALAR);
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < SEEDS; i++)
        an_buffer_free(&seeds[i].payload);
    an_coef_decoder_free(decoder);
    return 0;
}

/* Most places are in the rows of blocks, where no check sum would find the change. */
static size_t place(an_rng *rng, size_t size)
{
    if (an_rng_below(rng, 8) == 0)
        return an_rng_below(rng, size < 300 ? (uint32_t)size : 300);
    return an_rng_below(rng, (uint32_t)size);
}

/* Moves bytes from one row of blocks to another, so that the sum stays. */
static void move_bytes(an_rng *rng, uint8_t *payload, size_t size)
{
    size_t table = 8 + 64 * (size_t)payload[2], rows = (payload[4] + 7u) / 8;
    size_t from = table + 2 * an_rng_below(rng, (uint32_t)rows), to = table + 2 * an_rng_below(rng, (uint32_t)rows);
    uint8_t bytes = (uint8_t)an_rng_below(rng, 9);
    if (from + 1 < size && to + 1 < size && payload[from] >= bytes && payload[to] <= 255 - bytes) {
        payload[from] = (uint8_t)(payload[from] - bytes);
        payload[to] = (uint8_t)(payload[to] + bytes);
    }
}

static void mutate(an_rng *rng, uint8_t *payload, size_t *size)
{
    static const uint8_t values[] = {0, 0xff, 0x80, 0x88, 0x7f, 1, 0xaa};
    for (uint32_t left = 1 + an_rng_below(rng, 4); left; left--) {
        uint8_t *at = payload + place(rng, *size);
        switch (an_rng_below(rng, 12)) {
        case 0:
            *size -= an_rng_below(rng, (uint32_t)(*size < 40 ? *size : 40));
            return;
        case 1:
        case 2:
            move_bytes(rng, payload, *size);
            break;
        case 3:
        case 4:
        case 5:
            *at = values[an_rng_below(rng, sizeof values)];
            break;
        case 6:
            *at = (uint8_t)an_rng_u32(rng);
            break;
        default:
            *at ^= (uint8_t)(1 << an_rng_below(rng, 8));
        }
    }
}

static void check(const seed *s, const uint8_t *payload, size_t size, an_image_draw draw, uint32_t crop,
                  uint32_t number)
{
    an_batch_decoder_options o = {.side = s->side, .crop = crop, .format = {AN_DTYPE_U8, AN_LAYOUT_NHWC, 3}};
    an_window window = {draw.x, draw.y, crop, crop, draw.flip};
    char message[AN_ERROR_MAX] = "";
    size_t block_size, each = (size_t)crop * crop * 3;
    uint8_t *made = malloc(each), *expected = malloc(each);
    uint32_t fault = 0;
    payload_batch b;
    assert_true(made && expected);
    payload_batch_start(&b, 1);
    payload_batch_add(&b, AN_PAYLOAD_COEF, payload, size, draw);
    uint8_t *block = payload_batch_block(&b, &block_size);
    int wanted = payload_expect(&o, payload, size, &draw, expected);
    snprintf(message, sizeof message, "%s", an_error_message());
    int rc = payload_decode_host(&o, block, block_size, 1, made, &fault);
    if (rc != wanted)
        fail_msg("mutant %u: %d (%s), where the host says %d (%s)", number, rc, an_error_message(), wanted, message);
    refused += rc != 0;
    if (rc)
        assert_string_equal(an_error_message(), message);
    else
        assert_int_equal(an_coef_decode_window(decoder, payload, size, &window, expected, (size_t)crop * 3), AN_OK);
    for (size_t i = 0; !rc && i < each; i++)
        if (made[i] != expected[i])
            fail_msg("mutant %u (side %u, sampling %d): byte %zu is %d, not %d", number, s->side, payload[1], i,
                     made[i], expected[i]);
    payload_batch_end(&b);
    free(block);
    free(made);
    free(expected);
}

static void test_mutants(void **state)
{
    (void)state;
    for (uint32_t i = 0; i < mutants; i++) {
        an_rng rng = an_rng_make(9, AN_RNG_TEST, 0, i);
        const seed *s = &seeds[an_rng_below(&rng, i % 16 ? SEEDS - 8 : SEEDS)];
        size_t size = s->payload.size;
        uint8_t *payload = malloc(size);
        assert_non_null(payload);
        memcpy(payload, s->payload.data, size);
        mutate(&rng, payload, &size);
        uint32_t crop = 1 + an_rng_below(&rng, s->side);
        an_image_draw draw =
            AN_IMAGE_DRAW(.x = an_rng_below(&rng, s->side - crop + 1), .y = an_rng_below(&rng, s->side - crop + 1));
        draw.flip = an_rng_below(&rng, 2);
        check(s, payload, size, draw, crop, i);
        free(payload);
    }
    assert_in_range(refused, mutants / 10, mutants - mutants / 10); /* both verdicts are common */
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_mutants)};
    if (argc > 1)
        mutants = (uint32_t)strtoul(argv[1], NULL, 10);
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
