#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "augment/pixels/pixels.h"
#include "base/rng.h"

#define LONGEST 230
#define GUARD 64
#define FILL 0xa5

static const an_simd_tier tiers[] = {AN_SIMD_AVX2, AN_SIMD_AVX512};

/* Output with guards on both sides, so that a stray byte is seen. */
typedef struct {
    _Alignas(64) uint8_t bytes[GUARD + 4 * 4 * LONGEST + GUARD];
} area;

static uint8_t *clear(area *a)
{
    memset(a->bytes, FILL, sizeof a->bytes);
    return a->bytes + GUARD;
}

static void fill(uint8_t *bytes, size_t n)
{
    an_rng rng = an_rng_make(3, AN_RNG_TEST, 0, n);
    for (size_t i = 0; i < n; i++)
        bytes[i] = (uint8_t)an_rng_u32(&rng);
}

static void tiers_rearrange_as_the_scalar_twin(void **state)
{
    (void)state;
    static uint8_t src[3 * LONGEST];
    static area got, wanted;
    fill(src, sizeof src);
    for (size_t t = 0; t < 2; t++) {
        if (tiers[t] > an_cpu_simd_best())
            continue;
        const an_pixels *fast = an_pixels_for(tiers[t]), *slow = &an_pixels_scalar;
        assert_ptr_not_equal(fast, slow);
        for (size_t n = 1; n <= LONGEST; n++)
            for (int flip = 0; flip < 2; flip++) {
                const uint8_t *from = src + 3 * (LONGEST - n); /* up to the end of the array: asan sees an over-read */
                fast->copy(clear(&got) + (flip ? 7 : 0), from, 3 * n); /* aligned and not */
                slow->copy(clear(&wanted) + (flip ? 7 : 0), from, 3 * n);
                assert_memory_equal(&got, &wanted, sizeof got);
                fast->mirror(clear(&got), from, n);
                slow->mirror(clear(&wanted), from, n);
                assert_memory_equal(&got, &wanted, sizeof got);
                fast->split(clear(&got), n + 5, from, n, flip);
                slow->split(clear(&wanted), n + 5, from, n, flip);
                assert_memory_equal(&got, &wanted, sizeof got);
                fast->pad(clear(&got), from, n, flip);
                slow->pad(clear(&wanted), from, n, flip);
                assert_memory_equal(&got, &wanted, sizeof got);
                fast->grey(clear(&got), from, n, flip);
                slow->grey(clear(&wanted), from, n, flip);
                assert_memory_equal(&got, &wanted, sizeof got);
            }
    }
}

static void assert_conversion(const an_pixels *fast, const uint8_t *src, const float *mean, bool repeats,
                              const float *shift, const float *scale, size_t n)
{
    static area got, wanted;
    const an_pixels *slow = &an_pixels_scalar;
    an_pixels_convert *const pairs[3][2] = {
        {fast->to_f32, slow->to_f32}, {fast->to_bf16, slow->to_bf16}, {fast->to_f16, slow->to_f16}};
    for (size_t i = 0; i < 6; i++) {
        size_t off = i % 2 * 4; /* aligned and not */
        pairs[i / 2][0](clear(&got) + off, src, mean, repeats, shift, scale, n);
        pairs[i / 2][1](clear(&wanted) + off, src, mean, repeats, shift, scale, n);
        assert_memory_equal(&got, &wanted, sizeof got);
    }
}

static void tiers_convert_as_the_scalar_twin(void **state)
{
    (void)state;
    static uint8_t src[4 * LONGEST];
    static float mean[4 * LONGEST];
    float shift[AN_PIXELS_PATTERN], scale[AN_PIXELS_PATTERN];
    an_rng rng = an_rng_make(4, AN_RNG_TEST, 0, 0);
    fill(src, sizeof src);
    for (size_t i = 0; i < 4 * LONGEST; i++)
        mean[i] = (float)(255 * an_rng_uniform(&rng));
    for (size_t i = 0; i < AN_PIXELS_PATTERN; i++)
        shift[i] = (float)(20 * an_rng_normal(&rng));
    const float scales[] = {1.0f, 1.0f / 58.3f, 1e-4f, 3e-8f, 700.0f};
    for (size_t k = 0; k < sizeof scales / sizeof *scales; k++) {
        for (size_t i = 0; i < AN_PIXELS_PATTERN; i++)
            scale[i] = scales[k] * (float)(0.5 + an_rng_uniform(&rng));
        for (size_t t = 0; t < 2; t++)
            for (size_t n = 1; tiers[t] <= an_cpu_simd_best() && n <= 3 * LONGEST; n += n < 60 ? 1 : 37)
                for (int repeats = 0; repeats < 2; repeats++)
                    assert_conversion(an_pixels_for(tiers[t]), src + sizeof src - n,
                                      mean + 4 * LONGEST - n - (repeats ? 3 * LONGEST - n : 0), repeats, shift, scale,
                                      n);
    }
}

static void rearranging_does_what_it_says(void **state)
{
    (void)state;
    const uint8_t src[6] = {1, 2, 3, 4, 5, 6};
    const uint8_t mirrored[6] = {4, 5, 6, 1, 2, 3}, planes[6] = {1, 4, 2, 5, 3, 6}, back[6] = {4, 1, 5, 2, 6, 3};
    const uint8_t padded[8] = {1, 2, 3, 0, 4, 5, 6, 0}, padded_back[8] = {4, 5, 6, 0, 1, 2, 3, 0};
    uint8_t out[8];
    an_pixels_scalar.mirror(out, src, 2);
    assert_memory_equal(out, mirrored, 6);
    an_pixels_scalar.split(out, 2, src, 2, false);
    assert_memory_equal(out, planes, 6);
    an_pixels_scalar.split(out, 2, src, 2, true);
    assert_memory_equal(out, back, 6);
    an_pixels_scalar.pad(out, src, 2, false);
    assert_memory_equal(out, padded, 8);
    an_pixels_scalar.pad(out, src, 2, true);
    assert_memory_equal(out, padded_back, 8);
}

/* Every colour, by every tier: what is above 0.5 of the luma with weights of 1 / 65536 is rounded up. */
static void every_colour_has_its_grey(void **state)
{
    (void)state;
    static uint8_t src[256 * 256 * 3], out[256 * 256];
    for (int tier = AN_SIMD_SCALAR; tier <= (int)an_cpu_simd_best(); tier++)
        for (int red = 0; red < 256; red++) {
            bool flip = red % 2;
            for (int i = 0; i < 65536; i++)
                src[3 * i] = (uint8_t)red, src[3 * i + 1] = (uint8_t)(i >> 8), src[3 * i + 2] = (uint8_t)i;
            an_pixels_for((an_simd_tier)tier)->grey(out, src, 65536, flip);
            for (int i = 0; i < 65536; i++) {
                double luma = (19595.0 * red + 38470.0 * (i >> 8) + 7471.0 * (i & 255)) / 65536;
                int got = out[flip ? 65535 - i : i];
                if (got != (int)floor(luma + 0.5))
                    fail_msg("tier %d: %d, %d, %d is %d, not %g", tier, red, i >> 8, i & 255, got, luma);
            }
        }
}

static double from_f16(uint16_t half)
{
    int exponent = half >> 10 & 31, mantissa = half & 1023;
    double value = exponent ? ldexp(1024 + mantissa, exponent - 25) : ldexp(mantissa, -24);
    return half & 0x8000 ? -value : value;
}

/* Every finite half is its own rounding; between two neighbours the nearer one wins, and the even one in the middle. */
static void f16_rounds_to_nearest_even(void **state)
{
    (void)state;
    for (unsigned h = 0; h < 0x7c00; h++) {
        float value = (float)from_f16((uint16_t)h), next = h == 0x7bff ? 65536.0f : (float)from_f16((uint16_t)(h + 1));
        float middle = (value + next) / 2;
        assert_int_equal(an_pixels_f16(value), h);
        assert_int_equal(an_pixels_f16(-value), h | 0x8000);
        assert_int_equal(an_pixels_f16(middle), h & 1 ? h + 1 : h);
        assert_int_equal(an_pixels_f16(nextafterf(middle, 0)), h);
        assert_int_equal(an_pixels_f16(nextafterf(middle, 1e9f)), h + 1);
    }
    assert_int_equal(an_pixels_f16(1e9f), 0x7c00);
    assert_int_equal(an_pixels_f16(-1e9f), 0xfc00);
}

static void bf16_rounds_to_nearest_even(void **state)
{
    (void)state;
    assert_int_equal(an_pixels_bf16(1.0f), 0x3f80);
    assert_int_equal(an_pixels_bf16(-1.0f), 0xbf80);
    assert_int_equal(an_pixels_bf16(1.0f + 0x1p-8f), 0x3f80);           /* halfway: even below */
    assert_int_equal(an_pixels_bf16(1.0f + 0x1p-7f + 0x1p-8f), 0x3f82); /* halfway: even above */
    assert_int_equal(an_pixels_bf16(1.0f + 0x1p-8f + 0x1p-20f), 0x3f81);
    assert_int_equal(an_pixels_bf16(0.0f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rearranging_does_what_it_says),    cmocka_unit_test(tiers_rearrange_as_the_scalar_twin),
        cmocka_unit_test(tiers_convert_as_the_scalar_twin), cmocka_unit_test(f16_rounds_to_nearest_even),
        cmocka_unit_test(bf16_rounds_to_nearest_even),      cmocka_unit_test(every_colour_has_its_grey),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
