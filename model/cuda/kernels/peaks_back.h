/* Part of bodies.h: the gradient of peaks.h, of the activation before it, and the sums of which a bias's gradient is
 * made.
 *
 * A thread works on 2 x 2 pixels of x at a time. They are covered by four windows, whose gradients and positions it
 * reads once for all four pixels; which pixel holds which position of which window is known when this is compiled. */
#ifndef AN_MODEL_CUDA_KERNELS_PEAKS_BACK_H
#define AN_MODEL_CUDA_KERNELS_PEAKS_BACK_H

#include "model/cuda/kernels/peaks.h"

/* The gradients of a window's values and their positions, a byte each. The halo's positions are apart: two before the
 * group in the lower half, two after it in the upper one. */
typedef struct {
    uint32_t slopes[8], taken[2], beyond;
} an_peaks_window;

#define AN_TAKEN_NONE 0xFFFFU /* no position, twice */

AN_BODY uint32_t an_taken_pair(const uint8_t *at)
{
    AN_TOUCH(at, 2);
    return *(const an_half *)(const void *)at;
}

/* The window whose values begin at first, or one without positions where there is none. */
AN_BODY an_peaks_window an_peaks_window_load(const an_peaks_args *a, uint64_t first, int exists, an_sides sides,
                                             an_stored stored, int count, int normalised)
{
    an_peaks_window w;
    w.taken[0] = w.taken[1] = 0xFFFFFFFFU;
    w.beyond = AN_TAKEN_NONE << 16 | AN_TAKEN_NONE;
    AN_UNROLL for (int k = 0; k < 8; k++) w.slopes[k] = 0;
    if (!exists)
        return w;
    const uint8_t *taken = (const uint8_t *)a->at.in[2] + first;
    an_halo_load(a->at.in[1], stored, first, normalised ? 2 : 0, sides, w.slopes);
    an_words_load((const char *)taken, count / 4, w.taken);
    if (normalised) {
        uint32_t before = sides.before ? an_taken_pair(taken - 2) : AN_TAKEN_NONE;
        w.beyond = before | (sides.after ? an_taken_pair(taken + count) : AN_TAKEN_NONE) << 16;
    }
    return w;
}

/* Whether value k, counted from the halo's first, was at this position. */
AN_BODY int an_peaks_was_at(const an_peaks_window *w, int k, int halo, int count, int position)
{
    int own = k - halo, byte = own < 0 ? k : own < count ? own % 4 : 2 + own - count;
    uint32_t word = own < 0 || own >= count ? w->beyond : w->taken[own / 4];
    return (int)(word >> 8 * byte & 0xFF) == position;
}

/* Adds a window's gradients to those of the pixels that held its maxima. bottom, right: the window is the one that
 * begins in the block, and not the one before it, along each axis. */
AN_BODY void an_peaks_window_add(const an_peaks_window *w, int bottom, int right, an_stored stored, int count, int halo,
                                 float slopes[4][12])
{
    AN_UNROLL for (int pixel = 0; pixel < 4; pixel++)
    {
        int y = pixel / 2 + (bottom ? 0 : 2), x = pixel % 2 + (right ? 0 : 2);
        if (y > 2 || x > 2)
            continue;
        AN_UNROLL for (int k = 0; k < count + 2 * halo; k++)
        {
            if (an_peaks_was_at(w, k, halo, count, y * 3 + x))
                slopes[pixel][k] += an_word_value(w->slopes, stored, k);
        }
    }
}

/* The gradient of normalisation (an_lrn_back_one) of a pixel: from words, which hold x with 4 channels before and after
 * the group, and the gradient of the normalised values with 2. */
AN_BODY void an_peaks_normalise_back(const an_peaks_args *a, const uint32_t *words, const float *slopes,
                                     an_stored stored, int count, float *out)
{
    float x[16], sums[12], through[12], direct[8];
    AN_UNROLL for (int k = 0; k < count + 8; k++) x[k] = an_word_value(words, stored, k);
    an_lrn_squares(x, count + 4, sums);
    AN_UNROLL for (int k = 0; k < count + 4; k++)
    {
        an_lrn_terms terms = an_lrn_terms_of(a->k + a->alpha * sums[k], 0.75F, x[k + 2], slopes[k]);
        through[k] = terms.through;
        if (k >= 2 && k < count + 2)
            direct[k - 2] = terms.direct;
    }
    an_lrn_sums(through, count, sums);
    AN_UNROLL for (int k = 0; k < count; k++) out[k] = direct[k] - 2 * a->alpha * 0.75F * x[k + 4] * sums[k];
}

/* Pixel by pixel: the gradient of x, and of what was before the activation. */
AN_BODY void an_peaks_pixel_store(const an_peaks_back_args *args, const uint32_t *words, const float *slopes,
                                  uint64_t place, an_stored stored, int count, int normalised, float *sums)
{
    float out[8];
    int middle = normalised ? 4 * (stored == AN_STORED_F32 ? 4 : 2) / 4 : 0;
    if (normalised)
        an_peaks_normalise_back(&args->peaks, words, slopes, stored, count, out);
    AN_UNROLL for (int k = 0; k < count; k++)
    {
        if (!normalised)
            out[k] = slopes[k];
        if (args->activation && !(an_word_value(words + middle, stored, k) > 0))
            out[k] *= 0.0F;
        sums[k] += out[k];
    }
    an_group_put(args->peaks.at.out[0], stored, place, count, out, args->accumulate);
}

/* Two places along an axis, of pixels or of windows: whether they are within the tensor. */
typedef struct {
    int rows[2], columns[2];
} an_square;

AN_BODY an_square an_square_of(int y, int x, int h, int w)
{
    an_square square = {{y >= 0 && y < h, y + 1 >= 0 && y + 1 < h}, {x >= 0 && x < w, x + 1 >= 0 && x + 1 < w}};
    return square;
}

/* The index in memory of number 0 to 3 of a square that begins in row first of a tensor of pixels, w of them in a row.
 */
AN_BODY uint64_t an_square_index(const an_rows *lie, uint64_t first, int number, int w)
{
    return first + (uint64_t)((number / 2 * w + number % 2) * lie->channels);
}

/* The block's pixels begin at y, x and the windows that cover them at oy, ox. */
AN_BODY void an_peaks_back_block(const an_peaks_back_args *args, int n, int by, int bx, int c, an_sides sides,
                                 an_stored stored, int count, int normalised, float *sums)
{
    const an_peaks_args *a = &args->peaks;
    int y = 2 * by - a->pad, x = 2 * bx - a->pad, oy = by - 1, ox = bx - 1, halo = normalised ? 2 : 0;
    an_square pixels = an_square_of(y, x, a->h, a->w), windows = an_square_of(oy, ox, a->oh, a->ow);
    uint64_t first = an_rows_index(&a->from, (uint64_t)(int64_t)((n * a->h + y) * a->w + x), c);
    uint64_t above = an_rows_index(&a->to, (uint64_t)(int64_t)((n * a->oh + oy) * a->ow + ox), c);
    uint32_t words[4][12];
    float slopes[4][12];
    AN_UNROLL for (int i = 0; i < 4; i++)
    {
        AN_UNROLL for (int k = 0; k < count + 2 * halo; k++) slopes[i][k] = 0;
        if ((normalised || args->activation) && pixels.rows[i / 2] && pixels.columns[i % 2])
            an_halo_load(a->at.in[0], stored, an_square_index(&a->from, first, i, a->w), 2 * halo, sides, words[i]);
    }
    AN_UNROLL for (int i = 3; i >= 0; i--)
    {
        int exists = windows.rows[i / 2] && windows.columns[i % 2];
        an_peaks_window w =
            an_peaks_window_load(a, an_square_index(&a->to, above, i, a->ow), exists, sides, stored, count, normalised);
        an_peaks_window_add(&w, i / 2, i % 2, stored, count, halo, slopes);
    }
    AN_UNROLL for (int i = 0; i < 4; i++)
    {
        if (pixels.rows[i / 2] && pixels.columns[i % 2])
            an_peaks_pixel_store(args, words[i], slopes[i], an_square_index(&a->from, first, i, a->w), stored, count,
                                 normalised, sums);
    }
}

AN_BODY void an_peaks_back_group(const an_peaks_back_args *args, uint64_t item, an_stored stored, int count,
                                 int normalised)
{
    const an_peaks_args *a = &args->peaks;
    uint32_t groups = (uint32_t)(a->channels / count), chunk = (uint32_t)item / groups;
    uint32_t high = (uint32_t)(a->h + 1 + a->pad) / 2, wide = (uint32_t)(a->w + 1 + a->pad) / 2;
    uint32_t blocks = (uint32_t)a->n * high * wide;
    int c = (int)((uint32_t)item % groups) * count;
    an_sides sides = an_sides_of(c, count, a->width);
    float sums[8];
    AN_UNROLL for (int k = 0; k < count; k++) sums[k] = 0;
    for (uint32_t block = chunk; block < blocks; block += args->chunks)
        an_peaks_back_block(args, (int)(block / wide / high), (int)(block / wide % high), (int)(block % wide), c, sides,
                            stored, count, normalised, sums);
    if (a->at.out[1])
        an_sums_store(a->at.out[1], (uint64_t)chunk * (uint64_t)a->channels + (uint64_t)c, count, sums);
}

AN_BODY void an_body_peaks_back(const an_peaks_back_args *a, uint64_t i)
{
    if (a->peaks.group == 4)
        an_peaks_back_group(a, i, AN_STORED_F32, 4, 0);
    else
        an_peaks_back_group(a, i, AN_STORED_BF16, 8, 0);
}

AN_BODY void an_body_lrn_peaks_back(const an_peaks_back_args *a, uint64_t i)
{
    if (a->peaks.group == 4)
        an_peaks_back_group(a, i, AN_STORED_F32, 4, 1);
    else
        an_peaks_back_group(a, i, AN_STORED_BF16, 8, 1);
}

#endif
