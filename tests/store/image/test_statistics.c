#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/rng.h"
#include "store/image/statistics.h"
#include "tests/store/message.h"

static void fill(an_image *image, uint32_t side, uint32_t seed)
{
    an_rng rng = an_rng_make(seed, AN_RNG_TEST, side, 0);
    assert_int_equal(an_image_set_size(image, side, side), AN_OK);
    for (size_t i = 0; i < (size_t)side * side * 3; i++)
        image->pixels[i] = (uint8_t)an_rng_u32(&rng);
}

static void check_equal(const an_statistics_sums *a, const an_statistics_sums *b)
{
    an_buffer packed[2] = {{0}, {0}};
    assert_int_equal(an_statistics_sums_pack(a, &packed[0]), AN_OK);
    assert_int_equal(an_statistics_sums_pack(b, &packed[1]), AN_OK);
    assert_int_equal(packed[0].size, packed[1].size);
    assert_memory_equal(packed[0].data, packed[1].data, packed[0].size);
    an_buffer_free(&packed[0]);
    an_buffer_free(&packed[1]);
}

static uint64_t pixel_sum(const an_statistics_sums *sums, size_t i)
{
    return sums->pixel_sum[i] + sums->recent[i];
}

/* Sides that are no multiples of any vector, and one larger than what is summed in 32 bits at once. */
static void check_sums(uint32_t side, uint32_t images)
{
    size_t count = (size_t)side * side * 3;
    uint64_t sum[3] = {0}, product[6] = {0}, *pixels = calloc(count, sizeof *pixels);
    an_statistics_sums sums;
    an_image image = {0};
    assert_non_null(pixels);
    assert_int_equal(an_statistics_sums_init(&sums, side), AN_OK);
    for (uint32_t n = 0; n < images; n++) {
        fill(&image, side, n);
        assert_int_equal(an_statistics_sums_add(&sums, &image), AN_OK);
        for (size_t i = 0; i < count; i += 3) {
            const uint8_t *p = image.pixels + i;
            for (int c = 0, k = 0; c < 3; c++) {
                sum[c] += p[c];
                pixels[i + (size_t)c] += p[c];
                for (int d = c; d < 3; d++, k++)
                    product[k] += (uint64_t)p[c] * p[d];
            }
        }
    }
    assert_int_equal(sums.images, images);
    assert_memory_equal(sums.sum, sum, sizeof sum);
    assert_memory_equal(sums.product, product, sizeof product);
    for (size_t i = 0; i < count; i++)
        assert_true(pixel_sum(&sums, i) == pixels[i]);
    an_statistics_sums_free(&sums);
    an_image_free(&image);
    free(pixels);
}

static void test_sums(void **state)
{
    (void)state;
    for (uint32_t side = 1; side < 20; side++)
        check_sums(side, 5);
    check_sums(133, 2);
}

/* White images, and more of them than 16-bit sums could hold. */
static void test_extremes(void **state)
{
    (void)state;
    enum { SIDE = 130, IMAGES = 600 }; /* 16900 pixels: more than one run */
    an_statistics_sums sums;
    an_image image = {0};
    assert_int_equal(an_statistics_sums_init(&sums, SIDE), AN_OK);
    assert_int_equal(an_image_set_size(&image, SIDE, SIDE), AN_OK);
    memset(image.pixels, 255, SIDE * SIDE * 3);
    for (int i = 0; i < IMAGES; i++)
        assert_int_equal(an_statistics_sums_add(&sums, &image), AN_OK);
    for (int c = 0; c < 3; c++)
        assert_true(sums.sum[c] == (uint64_t)IMAGES * SIDE * SIDE * 255);
    for (int k = 0; k < 6; k++)
        assert_true(sums.product[k] == (uint64_t)IMAGES * SIDE * SIDE * 255 * 255);
    for (size_t i = 0; i < SIDE * SIDE * 3; i++)
        assert_true(pixel_sum(&sums, i) == IMAGES * 255);
    an_statistics_sums_free(&sums);
    an_image_free(&image);
}

/* The result does not depend on how images are divided among sums, nor on the order in which these are merged. */
static void test_merge(void **state)
{
    (void)state;
    an_statistics_sums all, part[3];
    an_image image = {0};
    assert_int_equal(an_statistics_sums_init(&all, 7), AN_OK);
    for (int i = 0; i < 3; i++)
        assert_int_equal(an_statistics_sums_init(&part[i], 7), AN_OK);
    for (uint32_t n = 0; n < 700; n++) {
        fill(&image, 7, n);
        assert_int_equal(an_statistics_sums_add(&all, &image), AN_OK);
        assert_int_equal(an_statistics_sums_add(&part[n % 5 % 3], &image), AN_OK);
    }
    an_statistics_sums_merge(&part[2], &part[0]);
    an_statistics_sums_merge(&part[2], &part[1]);
    check_equal(&part[2], &all);
    an_statistics_sums_clear(&part[2]);
    an_statistics_sums_merge(&part[2], &all);
    check_equal(&part[2], &all);
    for (int i = 0; i < 3; i++)
        an_statistics_sums_free(&part[i]);
    an_statistics_sums_free(&all);
    an_image_free(&image);
}

static void test_pack(void **state)
{
    (void)state;
    an_statistics_sums sums, back;
    an_image image = {0};
    an_buffer packed = {0};
    assert_int_equal(an_statistics_sums_init(&sums, 3), AN_OK);
    assert_int_equal(an_statistics_sums_init(&back, 3), AN_OK);
    for (uint32_t n = 0; n < 300; n++) {
        fill(&image, 3, n);
        assert_int_equal(an_statistics_sums_add(&sums, &image), AN_OK);
    }
    assert_int_equal(an_statistics_sums_add(&back, &image), AN_OK); /* is overwritten */
    assert_int_equal(an_statistics_sums_pack(&sums, &packed), AN_OK);
    assert_int_equal(packed.size, 88 + 27 * 8);
    assert_int_equal(an_bytes_u32(packed.data), 3);
    assert_int_equal(an_bytes_u64(packed.data + 8), 300);
    assert_true(an_bytes_u64(packed.data + 24) == sums.sum[1]);
    assert_true(an_bytes_u64(packed.data + 48) == sums.product[1]);
    assert_true(an_bytes_u64(packed.data + 88 + 8 * 5) == pixel_sum(&sums, 5));
    assert_int_equal(an_statistics_sums_unpack(&back, packed.data, packed.size), AN_OK);
    check_equal(&back, &sums);
    an_statistics_sums_free(&sums);
    an_statistics_sums_free(&back);
    an_buffer_free(&packed);
    an_image_free(&image);
}

static void test_unpack_refused(void **state)
{
    (void)state;
    an_statistics_sums sums, other;
    an_image image = {0};
    an_buffer packed = {0};
    assert_int_equal(an_statistics_sums_init(&sums, 2), AN_OK);
    assert_int_equal(an_statistics_sums_init(&other, 4), AN_OK);
    fill(&image, 2, 1);
    assert_int_equal(an_statistics_sums_add(&sums, &image), AN_OK);
    assert_int_equal(an_statistics_sums_pack(&sums, &packed), AN_OK);
    assert_int_equal(an_statistics_sums_unpack(&other, packed.data, packed.size), AN_ECORRUPT);
    for (size_t size = 0; size < packed.size; size++)
        assert_int_equal(an_statistics_sums_unpack(&sums, packed.data, size), AN_ECORRUPT);
    static const size_t damaged[] = {0, 4, 15, 16, 24, 39, 47, 87, 88, 95, 183};
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        packed.data[damaged[i]] ^= 0x80;
        if (an_statistics_sums_unpack(&sums, packed.data, packed.size) != AN_ECORRUPT)
            fail_msg("damage at %zu went unseen", damaged[i]);
        packed.data[damaged[i]] ^= 0x80;
    }
    assert_int_equal(sums.images, 1);
    assert_int_equal(an_statistics_sums_unpack(&sums, packed.data, packed.size), AN_OK);
    an_statistics_sums_free(&sums);
    an_statistics_sums_free(&other);
    an_buffer_free(&packed);
    an_image_free(&image);
}

static void test_refused(void **state)
{
    (void)state;
    an_statistics_sums sums;
    an_image image = {0};
    assert_int_equal(an_statistics_sums_init(&sums, 0), AN_EINVAL);
    assert_int_equal(an_statistics_sums_init(&sums, 16385), AN_EINVAL);
    assert_int_equal(an_statistics_sums_init(&sums, 4), AN_OK);
    assert_int_equal(an_image_set_size(&image, 4, 5), AN_OK);
    assert_int_equal(an_statistics_sums_add(&sums, &image), AN_EINVAL);
    assert_message("4x5 pixels among those of 4x4");
    assert_int_equal(sums.images, 0);
    an_statistics_sums_free(&sums);
    an_image_free(&image);
}

static void multiply(const an_statistics *s, int i, double out[3])
{
    for (int r = 0; r < 3; r++) {
        out[r] = 0;
        for (int c = 0; c < 3; c++)
            out[r] += s->covariance[r][c] * s->eigenvector[i][c];
    }
}

static void check_eigen(const an_statistics *s)
{
    for (int i = 0; i < 3; i++) {
        double product[3];
        multiply(s, i, product);
        for (int r = 0; r < 3; r++)
            assert_true(fabs(product[r] - s->eigenvalue[i] * s->eigenvector[i][r]) < 1e-8 * (1 + s->eigenvalue[0]));
        for (int j = 0; j < 3; j++) {
            double dot = 0;
            for (int c = 0; c < 3; c++)
                dot += s->eigenvector[i][c] * s->eigenvector[j][c];
            assert_true(fabs(dot - (i == j)) < 1e-12);
        }
        double first = 0;
        for (int c = 0; c < 3 && first == 0; c++)
            first = s->eigenvector[i][c];
        assert_true(first > 0);
        assert_true(i == 0 || s->eigenvalue[i - 1] >= s->eigenvalue[i]);
    }
}

/* Statistics by their definition, in two passes over the pixels, to compare with those from the sums. */
static void test_compute(void **state)
{
    (void)state;
    enum { SIDE = 16, IMAGES = 9 };
    an_statistics_sums sums;
    an_statistics s;
    an_image image[IMAGES] = {{0}};
    double mean[3] = {0}, covariance[3][3] = {{0}}, n = SIDE * SIDE * IMAGES;
    assert_int_equal(an_statistics_sums_init(&sums, SIDE), AN_OK);
    for (uint32_t i = 0; i < IMAGES; i++) {
        fill(&image[i], SIDE, i);
        for (size_t p = 0; p < SIDE * SIDE * 3; p += 3) /* correlated */
            image[i].pixels[p + 1] = (uint8_t)((3 * image[i].pixels[p] + image[i].pixels[p + 1]) / 4);
        assert_int_equal(an_statistics_sums_add(&sums, &image[i]), AN_OK);
        for (size_t p = 0; p < SIDE * SIDE * 3; p++)
            mean[p % 3] += image[i].pixels[p] / n;
    }
    for (int i = 0; i < IMAGES; i++)
        for (size_t p = 0; p < SIDE * SIDE * 3; p += 3)
            for (size_t a = 0; a < 3; a++)
                for (size_t b = 0; b < 3; b++)
                    covariance[a][b] += (image[i].pixels[p + a] - mean[a]) * (image[i].pixels[p + b] - mean[b]) / n;
    assert_int_equal(an_statistics_compute(&sums, &s), AN_OK);
    assert_int_equal(s.images, IMAGES);
    assert_int_equal(s.side, SIDE);
    for (int a = 0; a < 3; a++) {
        assert_true(fabs(s.mean[a] - mean[a]) < 1e-9);
        assert_true(fabs(s.deviation[a] - sqrt(covariance[a][a])) < 1e-9);
        for (int b = 0; b < 3; b++)
            assert_true(fabs(s.covariance[a][b] - covariance[a][b]) < 1e-8);
    }
    for (size_t p = 0; p < SIDE * SIDE * 3; p++)
        assert_true(s.mean_image[p] == (float)((double)pixel_sum(&sums, p) / IMAGES));
    check_eigen(&s);
    an_statistics_free(&s);
    an_statistics_sums_free(&sums);
    for (int i = 0; i < IMAGES; i++)
        an_image_free(&image[i]);
}

static void compute_flat(const uint8_t a[3], const uint8_t b[3], an_statistics *out)
{
    an_statistics_sums sums;
    an_image image = {0};
    assert_int_equal(an_statistics_sums_init(&sums, 1), AN_OK);
    assert_int_equal(an_image_set_size(&image, 1, 1), AN_OK);
    memcpy(image.pixels, a, 3);
    assert_int_equal(an_statistics_sums_add(&sums, &image), AN_OK);
    memcpy(image.pixels, b, 3);
    assert_int_equal(an_statistics_sums_add(&sums, &image), AN_OK);
    assert_int_equal(an_statistics_compute(&sums, out), AN_OK);
    an_statistics_sums_free(&sums);
    an_image_free(&image);
}

/* Covariances without full rank: constant, grey, one channel. */
static void test_degenerate(void **state)
{
    (void)state;
    an_statistics s;
    compute_flat((uint8_t[]){13, 77, 201}, (uint8_t[]){13, 77, 201}, &s);
    for (int i = 0; i < 3; i++) {
        assert_true(s.deviation[i] < 1e-4);
        assert_true(s.eigenvalue[i] >= 0 && s.eigenvalue[i] < 1e-8);
    }
    check_eigen(&s);
    an_statistics_free(&s);

    compute_flat((uint8_t[]){10, 10, 10}, (uint8_t[]){20, 20, 20}, &s);
    assert_true(fabs(s.eigenvalue[0] - 75) < 1e-9); /* 25 in each channel, all along (1, 1, 1) */
    assert_true(fabs(s.eigenvector[0][2] - sqrt(1 / 3.0)) < 1e-12);
    check_eigen(&s);
    an_statistics_free(&s);

    compute_flat((uint8_t[]){0, 0, 10}, (uint8_t[]){0, 0, 20}, &s);
    assert_true(fabs(s.eigenvalue[0] - 25) < 1e-9);
    assert_true(s.eigenvector[0][2] == 1);
    check_eigen(&s);
    an_statistics_free(&s);
}

static void test_none(void **state)
{
    (void)state;
    an_statistics_sums sums;
    an_statistics s;
    assert_int_equal(an_statistics_sums_init(&sums, 2), AN_OK);
    assert_int_equal(an_statistics_compute(&sums, &s), AN_OK);
    assert_true(s.mean[0] == 0 && s.deviation[0] == 0 && s.mean_image[11] == 0);
    check_eigen(&s);
    an_statistics_free(&s);
    an_statistics_sums_free(&sums);
    an_statistics_sums_free(&sums);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sums),    cmocka_unit_test(test_extremes),       cmocka_unit_test(test_merge),
        cmocka_unit_test(test_pack),    cmocka_unit_test(test_unpack_refused), cmocka_unit_test(test_refused),
        cmocka_unit_test(test_compute), cmocka_unit_test(test_degenerate),     cmocka_unit_test(test_none),
    };
    return cmocka_run_group_tests_name("statistics", tests, NULL, NULL);
}
