/* Adding an image to the statistics, which ingest does for every image. The sums of single pixels are kept in 16 bits
 * until they could overflow, so that an image touches a quarter of the memory. The sums of products are kept in 32 bits
 * for a run of pixels. */
#include <immintrin.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/cpu.h"
#include "base/error.h"
#include "store/image/statistics.h"

enum {
    RUN = 1 << 14,   /* pixels: four times their 255 * 255 fits 32 bits */
    PACK_HEADER = 88 /* u32 side, u32 0, u64 images, 3 sums, 6 products */
};

typedef struct {
    uint32_t sum[3], product[6];
} run_sums;

static size_t value_count(uint32_t side)
{
    return (size_t)side * side * 3;
}

int an_statistics_sums_init(an_statistics_sums *sums, uint32_t side)
{
    *sums = (an_statistics_sums){.side = side};
    if (side == 0 || side > AN_IMAGE_SIDE_MAX)
        return an_error(AN_EINVAL, "cannot sum up images of side %u: 1 to %d are possible", side, AN_IMAGE_SIDE_MAX);
    sums->pixel_sum = calloc(value_count(side), sizeof *sums->pixel_sum);
    sums->recent = calloc(value_count(side), sizeof *sums->recent);
    if (sums->pixel_sum && sums->recent)
        return AN_OK;
    an_statistics_sums_free(sums);
    return an_error(AN_ENOMEM, "out of memory: statistics of %ux%u pixels", side, side);
}

void an_statistics_sums_free(an_statistics_sums *sums)
{
    free(sums->pixel_sum);
    free(sums->recent);
    *sums = (an_statistics_sums){0};
}

void an_statistics_sums_clear(an_statistics_sums *sums)
{
    memset(sums->pixel_sum, 0, value_count(sums->side) * sizeof *sums->pixel_sum);
    memset(sums->recent, 0, value_count(sums->side) * sizeof *sums->recent);
    *sums = (an_statistics_sums){.side = sums->side, .pixel_sum = sums->pixel_sum, .recent = sums->recent};
}

static void add_run_scalar(run_sums *out, const uint8_t *rgb, size_t n)
{
    for (size_t i = 0; i < n; i++, rgb += 3) {
        uint32_t r = rgb[0], g = rgb[1], b = rgb[2];
        out->sum[0] += r, out->sum[1] += g, out->sum[2] += b;
        out->product[0] += r * r, out->product[1] += r * g, out->product[2] += r * b;
        out->product[3] += g * g, out->product[4] += g * b, out->product[5] += b * b;
    }
}

#define AVX2 __attribute__((target("avx2")))

AVX2 static inline __m256i load_pair(const uint8_t *p)
{
    __m128i low = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i high = _mm_loadu_si128((const __m128i *)(const void *)(p + 48));
    return _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1);
}

/* The bytes of a at positions 0, 3, 6 ... of each lane, of b at 1, 4, 7 ..., of c at 2, 5, 8 ... */
AVX2 static inline __m256i pick(__m256i a, __m256i b, __m256i c)
{
    const __m256i ones =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0));
    const __m256i twos =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0));
    return _mm256_blendv_epi8(_mm256_blendv_epi8(a, b, ones), c, twos);
}

AVX2 static inline uint32_t lane_sum(__m256i v)
{
    uint32_t lanes[8], sum = 0;
    memcpy(lanes, &v, sizeof lanes);
    for (int i = 0; i < 8; i++)
        sum += lanes[i];
    return sum;
}

/* Add the products of bytes widened to 16 bits; those of two neighbours go into one sum. */
AVX2 static inline __m256i multiply_add(__m256i sum, const __m256i a[2], const __m256i b[2])
{
    __m256i low = _mm256_madd_epi16(a[0], b[0]), high = _mm256_madd_epi16(a[1], b[1]);
    return _mm256_add_epi32(sum, _mm256_add_epi32(low, high));
}

/* 32 pixels a step; returns how many pixels were added. The red bytes of 16 pixels are at positions 3 i mod 16 of three
 * vectors, which are all different, so that blending gathers them into one vector. Green and blue are one and two
 * positions further: rotating their vectors lines the pixels up. The order of the pixels does not matter. */
AVX2 static size_t add_run_avx2(run_sums *out, const uint8_t *rgb, size_t n)
{
    const __m256i zero = _mm256_setzero_si256();
    __m256i sum[3] = {zero, zero, zero}, product[6] = {zero, zero, zero, zero, zero, zero};
    size_t i = 0;
    for (; i + 32 <= n; i += 32, rgb += 96) {
        __m256i v0 = load_pair(rgb), v1 = load_pair(rgb + 16), v2 = load_pair(rgb + 32);
        __m256i g = pick(v1, v0, v2), b = pick(v2, v1, v0);
        __m256i channel[3] = {pick(v0, v2, v1), _mm256_alignr_epi8(g, g, 1), _mm256_alignr_epi8(b, b, 2)};
        __m256i wide[3][2];
        for (int c = 0; c < 3; c++) {
            sum[c] = _mm256_add_epi64(sum[c], _mm256_sad_epu8(channel[c], zero));
            wide[c][0] = _mm256_unpacklo_epi8(channel[c], zero);
            wide[c][1] = _mm256_unpackhi_epi8(channel[c], zero);
        }
        for (int c = 0, k = 0; c < 3; c++)
            for (int d = c; d < 3; d++, k++)
                product[k] = multiply_add(product[k], wide[c], wide[d]);
    }
    for (int c = 0; c < 3; c++)
        out->sum[c] += lane_sum(sum[c]);
    for (int k = 0; k < 6; k++)
        out->product[k] += lane_sum(product[k]);
    return i;
}

static void add_products(an_statistics_sums *sums, const uint8_t *rgb, size_t n)
{
    bool wide = an_cpu_simd() >= AN_SIMD_AVX2;
    for (size_t size; n > 0; n -= size, rgb += 3 * size) {
        run_sums run = {{0}, {0}};
        size = n < RUN ? n : RUN;
        size_t done = wide ? add_run_avx2(&run, rgb, size) : 0;
        add_run_scalar(&run, rgb + 3 * done, size - done);
        for (int c = 0; c < 3; c++)
            sums->sum[c] += run.sum[c];
        for (int k = 0; k < 6; k++)
            sums->product[k] += run.product[k];
    }
}

static void settle(an_statistics_sums *sums)
{
    for (size_t i = 0; i < value_count(sums->side); i++)
        sums->pixel_sum[i] += sums->recent[i];
    memset(sums->recent, 0, value_count(sums->side) * sizeof *sums->recent);
    sums->pending = 0;
}

int an_statistics_sums_add(an_statistics_sums *sums, const an_image *image)
{
    if (image->width != sums->side || image->height != sums->side)
        return an_error(AN_EINVAL, "cannot sum up an image of %ux%u pixels among those of %ux%u", image->width,
                        image->height, sums->side, sums->side);
    if (sums->pending == AN_STATISTICS_RECENT)
        settle(sums);
    add_products(sums, image->pixels, (size_t)sums->side * sums->side);
    for (size_t i = 0; i < value_count(sums->side); i++)
        sums->recent[i] = (uint16_t)(sums->recent[i] + image->pixels[i]);
    sums->pending++;
    sums->images++;
    return AN_OK;
}

void an_statistics_sums_merge(an_statistics_sums *into, const an_statistics_sums *from)
{
    into->images += from->images;
    for (int c = 0; c < 3; c++)
        into->sum[c] += from->sum[c];
    for (int k = 0; k < 6; k++)
        into->product[k] += from->product[k];
    for (size_t i = 0; i < value_count(into->side); i++)
        into->pixel_sum[i] += from->pixel_sum[i] + from->recent[i];
}

int an_statistics_sums_pack(const an_statistics_sums *sums, an_buffer *out)
{
    size_t count = value_count(sums->side);
    int rc = an_buffer_reserve(out, out->size + PACK_HEADER + count * 8);
    if (rc)
        return rc;
    uint8_t *p = out->data + out->size;
    an_bytes_put_u32(p, sums->side);
    an_bytes_put_u32(p + 4, 0);
    an_bytes_put_u64(p + 8, sums->images);
    for (int c = 0; c < 3; c++)
        an_bytes_put_u64(p + 16 + 8 * c, sums->sum[c]);
    for (int k = 0; k < 6; k++)
        an_bytes_put_u64(p + 40 + 8 * k, sums->product[k]);
    for (size_t i = 0; i < count; i++)
        an_bytes_put_u64(p + PACK_HEADER + 8 * i, sums->pixel_sum[i] + sums->recent[i]);
    out->size += PACK_HEADER + count * 8;
    return AN_OK;
}

/* What is true of every set of images: no pixel is above 255 on average, and the sums of the channels are the sums over
 * the pixels. */
static bool plausible(const uint8_t *data, uint32_t side)
{
    uint64_t images = an_bytes_u64(data + 8), total[3] = {0}, pixels = (uint64_t)side * side;
    if (images > UINT64_MAX / (pixels * 255 * 255))
        return false;
    for (size_t i = 0; i < value_count(side); i++) {
        uint64_t value = an_bytes_u64(data + PACK_HEADER + 8 * i);
        if (value > 255 * images)
            return false;
        total[i % 3] += value;
    }
    for (int c = 0; c < 3; c++)
        if (total[c] != an_bytes_u64(data + 16 + 8 * c))
            return false;
    for (int k = 0; k < 6; k++)
        if (an_bytes_u64(data + 40 + 8 * k) > images * pixels * 255 * 255)
            return false;
    return an_bytes_u32(data + 4) == 0;
}

int an_statistics_sums_unpack(an_statistics_sums *sums, const uint8_t *data, size_t size)
{
    size_t count = value_count(sums->side);
    if (size != PACK_HEADER + count * 8)
        return an_error(AN_ECORRUPT, "sums of pixels: %zu bytes instead of %zu", size, PACK_HEADER + count * 8);
    if (an_bytes_u32(data) != sums->side || !plausible(data, sums->side))
        return an_error(AN_ECORRUPT, "sums of pixels contradict each other");
    an_statistics_sums_clear(sums);
    sums->images = an_bytes_u64(data + 8);
    for (int c = 0; c < 3; c++)
        sums->sum[c] = an_bytes_u64(data + 16 + 8 * c);
    for (int k = 0; k < 6; k++)
        sums->product[k] = an_bytes_u64(data + 40 + 8 * k);
    for (size_t i = 0; i < count; i++)
        sums->pixel_sum[i] = an_bytes_u64(data + PACK_HEADER + 8 * i);
    return AN_OK;
}
