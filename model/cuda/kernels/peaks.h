/* Part of bodies.h: maximum pooling over windows of 3 x 3 pixels with a stride of 2, with or without local response
 * normalisation before it.
 *
 * A thread makes two rows of y. It walks over the columns of x, of which it normalises the five pixels that the two
 * rows' windows cover, and takes the maximum of each column; a window's maximum is that of three columns. So a pixel is
 * normalised once for every two rows of y that cover it, and not once for each window.
 *
 * Values are compared as integers that have the values' order and hold the position as well, so that a maximum of bf16
 * values takes one instruction. */
#ifndef AN_MODEL_CUDA_KERNELS_PEAKS_H
#define AN_MODEL_CUDA_KERNELS_PEAKS_H

#include "model/cuda/kernels/lrn.h"
#include "model/cuda/kernels/pool.h"

/* 4, 8 or 16 bytes. */
AN_BODY void an_words_load(const char *at, int words, uint32_t *out)
{
    AN_TOUCH(at, (size_t)words * 4);
    if (words == 4) {
        an_sixteen v = *(const an_sixteen *)(const void *)at;
        AN_UNROLL for (int k = 0; k < 4; k++) out[k] = v.words[k];
    } else if (words == 2) {
        an_eight v = *(const an_eight *)(const void *)at;
        AN_UNROLL for (int k = 0; k < 2; k++) out[k] = v.words[k];
    } else {
        out[0] = *(const an_word *)(const void *)at;
    }
}

/* Which neighbours of a group there are. */
typedef struct {
    int before, after;
} an_sides;

AN_BODY an_sides an_sides_of(int channel, int count, int width)
{
    int within = channel % width;
    an_sides sides = {within > 0, within + count < width};
    return sides;
}

/* Reads 16 bytes of values, the group that begins at first, and halo values before and after them, which belong to the
 * groups beside it. Those that do not exist are zero. */
AN_BODY void an_halo_load(const void *from, an_stored stored, uint64_t first, int halo, an_sides sides, uint32_t *out)
{
    int size = stored == AN_STORED_F32 ? 4 : 2, words = halo * size / 4;
    const char *at = (const char *)from + first * (uint64_t)size;
    AN_UNROLL for (int k = 0; k < words; k++) out[k] = out[words + 4 + k] = 0;
    an_words_load(at, 4, out + words);
    if (halo && sides.before)
        an_words_load(at - words * 4, words, out);
    if (halo && sides.after)
        an_words_load(at + 16, words, out + words + 4);
}

/* The sums of count windows of 5: sums[k] is over values[k] to values[k + 4]. count is even, and values[0] belongs to
 * an even channel (an_lrn_away). */
AN_BODY void an_lrn_sums(const float *values, int count, float *sums)
{
    AN_UNROLL for (int k = 0; k < count; k += 2)
    {
        float shared = values[k + 1] + values[k + 2] + values[k + 3] + values[k + 4];
        sums[k] = shared + values[k];
        sums[k + 1] = shared + values[k + 5];
    }
}

/* The same of squares, written so that a device fuses multiplications and additions. */
AN_BODY void an_lrn_squares(const float *x, int count, float *sums)
{
    AN_UNROLL for (int k = 0; k < count; k += 2)
    {
        float shared = x[k + 1] * x[k + 1] + x[k + 2] * x[k + 2] + x[k + 3] * x[k + 3] + x[k + 4] * x[k + 4];
        sums[k] = shared + x[k] * x[k];
        sums[k + 1] = shared + x[k + 5] * x[k + 5];
    }
}

/* A value and its position as integers. For bf16, value has the value in its upper half and the rank in its lower one,
 * and rank is not used. A greater rank means an earlier position: of equal values, the first wins. NaN is the greatest
 * value. */
typedef struct {
    int32_t value, rank;
} an_peak;

#define AN_PEAK_RANK 255 /* of position 0 */

AN_BODY an_peak an_peak_none(an_stored stored)
{
    an_peak none = {stored == AN_STORED_F32 ? INT32_MIN : INT32_MIN + AN_PEAK_RANK + 1, AN_PEAK_RANK};
    return none;
}

AN_BODY an_peak an_peak_max(an_stored stored, an_peak a, an_peak b)
{
    if (stored == AN_STORED_BF16) {
        a.value = a.value > b.value ? a.value : b.value;
        return a;
    }
    int64_t first = (int64_t)a.value * 0x100000000 + a.rank, second = (int64_t)b.value * 0x100000000 + b.rank;
    return second > first ? b : a;
}

/* The same value, columns further to the right. */
AN_BODY an_peak an_peak_later(an_stored stored, an_peak peak, int columns)
{
    if (stored == AN_STORED_BF16)
        peak.value -= columns;
    else
        peak.rank -= columns;
    return peak;
}

/* Lets the bits of two bf16 values, as signed integers, have the order of the values; and back. */
AN_BODY uint32_t an_pair_order(uint32_t pair)
{
    uint32_t negative;
#ifdef __CUDA_ARCH__
    asm("prmt.b32 %0, %1, %1, 0xBB99;" : "=r"(negative) : "r"(pair)); /* all bits of a half are its sign */
#else
    negative = (pair >> 15 & 1) * 0xFFFFU | (pair >> 31) * 0xFFFF0000U;
#endif
    return pair ^ (negative & 0x7FFF7FFFU);
}

AN_BODY int32_t an_single_order(int32_t bits)
{
    return bits ^ (bits >> 31 & 0x7FFFFFFF);
}

/* The lower (or upper) half of a word, above a rank. */
AN_BODY int32_t an_half_ranked(uint32_t pair, int upper, uint32_t rank)
{
#ifdef __CUDA_ARCH__
    return (int32_t)__byte_perm(rank, pair, upper ? 0x7610 : 0x5410);
#else
    return (int32_t)((upper ? pair & 0xFFFF0000U : pair << 16) | rank);
#endif
}

/* The peaks of count values at one position. */
AN_BODY void an_peaks_of(an_stored stored, int count, const float *values, int position, an_peak *out)
{
    int32_t rank = AN_PEAK_RANK - position;
    AN_UNROLL for (int k = 0; k < count; k += 2)
    {
        if (stored == AN_STORED_BF16) {
            uint32_t pair = an_pair_order(an_bf16_pair(values[k], values[k + 1]));
            out[k].value = an_half_ranked(pair, 0, (uint32_t)rank);
            out[k + 1].value = an_half_ranked(pair, 1, (uint32_t)rank);
        } else {
            AN_UNROLL for (int j = k; j < k + 2; j++)
            {
                uint32_t bits = an_stored_bits(stored, values[j]);
                out[j].value = values[j] != values[j] ? 0x7FFFFFFF : an_single_order((int32_t)bits);
                out[j].rank = rank;
            }
        }
    }
}

/* What a thread makes: two rows of y and the channels from c on. Rows and columns of x that do not exist are replaced
 * by their neighbours, which the same window covers, with a rank so low that the neighbour's own position wins. */
#define AN_PEAK_BEYOND 16 /* greater than any position */

typedef struct {
    const char *from; /* the first value of the image in the group's first channel */
    uint32_t rows[5]; /* where in the image the rows begin that the windows cover, in values */
    int beyond[2];    /* AN_PEAK_BEYOND if row 0, or 1, is in the padding, else 0 */
    int oy;
    an_sides sides;
} an_peaks_place;

/* Normalises the pixels of a column and takes their maximum for each of the two rows. Positions are those of a window
 * whose first column this is and whose first row is the upper one's, so in the lower row they are
 * AN_PEAK_LOWER too great. */
#define AN_PEAK_LOWER 6
AN_BODY void an_peaks_column(const an_peaks_args *a, const an_peaks_place *p, int x, an_stored stored, int count,
                             int normalised, an_peak peaks[2][8])
{
    uint32_t words[5][8];
    int halo = normalised ? 2 : 0, beyond = x < 0 ? AN_PEAK_BEYOND : 0;
    uint32_t column = (uint32_t)((x < 0 ? 0 : x < a->w ? x : a->w - 1) * a->from.channels);
    AN_UNROLL for (int row = 0; row < 5; row++)
        an_halo_load(p->from, stored, p->rows[row] + column, halo, p->sides, words[row]);
    AN_UNROLL for (int row = 0; row < 5; row++)
    {
        float values[12], sums[8];
        an_peak found[8];
        AN_UNROLL for (int k = 0; k < count + 2 * halo; k++) values[k] = an_word_value(words[row], stored, k);
        if (normalised) {
            an_lrn_squares(values, count, sums);
            AN_UNROLL for (int k = 0; k < count; k++) values[k] =
                values[k + 2] * an_lrn_power_usual(a->k + a->alpha * sums[k]);
        }
        an_peaks_of(stored, count, values, row * 3 + beyond + (row < 2 ? p->beyond[row] : 0), found);
        AN_UNROLL for (int half = 0; half < 2; half++)
        {
            int first = row == 2 * half;
            if (row < 2 * half || row > 2 * half + 2)
                continue;
            AN_UNROLL for (int k = 0; k < count; k++) peaks[half][k] =
                first ? found[k] : an_peak_max(stored, peaks[half][k], found[k]);
        }
    }
}

/* lower: the row is the lower one. */
AN_BODY void an_peaks_store(const an_peaks_args *a, uint64_t to, int lower, an_stored stored, int count,
                            const an_peak *peaks)
{
    int taken[8];
    an_sixteen v;
    AN_UNROLL for (int k = 0; k < 4; k++)
    {
        if (stored == AN_STORED_BF16) {
            uint32_t low = (uint32_t)peaks[2 * k].value, high = (uint32_t)peaks[2 * k + 1].value;
            v.words[k] = an_pair_order(low >> 16 | (high & 0xFFFF0000U));
        } else {
            v.words[k] = (uint32_t)an_single_order(peaks[k].value);
        }
    }
    AN_UNROLL for (int k = 0; k < count; k++) taken[k] =
        AN_PEAK_RANK - lower * AN_PEAK_LOWER - ((stored == AN_STORED_BF16 ? peaks[k].value : peaks[k].rank) & 0xFF);
    an_sixteen_store(a->at.out[0], stored, to, v);
    if (a->at.out[1])
        an_taken_store(a->at.out[1], to, count, taken);
}

/* Stores what ends with a column, and begins anew with it. to: the index of the upper row's value in y. */
AN_BODY void an_peaks_end(const an_peaks_args *a, const an_peaks_place *p, int stores, uint64_t to, an_stored stored,
                          int count, an_peak best[2][8], an_peak column[2][8])
{
    uint64_t row_size = (uint64_t)a->ow * (uint64_t)a->to.channels;
    AN_UNROLL for (int half = 0; half < 2; half++)
    {
        if (stores && p->oy + half < a->oh)
            an_peaks_store(a, to + (uint64_t)half * row_size, half, stored, count, best[half]);
        AN_UNROLL for (int k = 0; k < count; k++) best[half][k] = column[half][k];
    }
}

/* Walks over the columns of x from the one with which window ox begins. Every second one ends a window and begins the
 * next. to: the index of that window's value in y. */
AN_BODY void an_peaks_walk(const an_peaks_args *a, const an_peaks_place *p, int ox, int windows, uint64_t to,
                           an_stored stored, int count, int normalised)
{
    an_peak best[2][8], column[2][8];
    AN_UNROLL for (int k = 0; k < count; k++) best[0][k] = best[1][k] = an_peak_none(stored);
    for (int step = 0; step <= 2 * windows; step++) {
        int ends = step % 2 == 0;
        an_peaks_column(a, p, 2 * ox - a->pad + step, stored, count, normalised, column);
        AN_UNROLL for (int half = 0; half < 2; half++)
        {
            AN_UNROLL for (int k = 0; k < count; k++)
            {
                an_peak later = an_peak_later(stored, column[half][k], ends ? 2 : 1);
                best[half][k] = an_peak_max(stored, best[half][k], later);
            }
        }
        if (ends)
            an_peaks_end(a, p, step > 0, to + (uint64_t)((int64_t)(step / 2 - 1) * a->to.channels), stored, count, best,
                         column);
    }
}

/* The place of pair number pair of rows of y in image n, and the channels from c on. */
AN_BODY an_peaks_place an_peaks_place_of(const an_peaks_args *a, uint32_t n, uint32_t pair, int c, an_stored stored,
                                         int count)
{
    an_peaks_place p;
    int top = (int)pair * 2 * 2 - a->pad;
    uint64_t first = an_pixel_index(&a->from, n, 0, 0, c, a->h, a->w);
    p.from = (const char *)a->at.in[0] + first * (stored == AN_STORED_F32 ? 4 : 2);
    p.oy = (int)pair * 2;
    p.sides = an_sides_of(c, count, a->width);
    AN_UNROLL for (int row = 0; row < 5; row++)
    {
        int y = top + row;
        p.rows[row] = (uint32_t)((y < 0 ? 0 : y < a->h ? y : a->h - 1) * a->w * a->from.channels);
    }
    AN_UNROLL for (int row = 0; row < 2; row++) p.beyond[row] = top + row < 0 ? AN_PEAK_BEYOND : 0;
    return p;
}

AN_BODY void an_peaks_group(const an_peaks_args *a, uint64_t item, an_stored stored, int count, int normalised)
{
    uint32_t i = (uint32_t)item, groups = (uint32_t)(a->channels / count), pairs = (uint32_t)(a->oh + 1) / 2;
    uint32_t parts = (uint32_t)(a->ow + a->across - 1) / (uint32_t)a->across;
    uint32_t pair = i / groups / parts % pairs, n = i / groups / parts / pairs;
    int c = (int)(i % groups) * count, ox = (int)(i / groups % parts) * a->across;
    int windows = ox + a->across < a->ow ? a->across : a->ow - ox;
    an_peaks_place p = an_peaks_place_of(a, n, pair, c, stored, count);
    uint64_t to = an_pixel_index(&a->to, n, p.oy, ox, c, a->oh, a->ow);
    an_peaks_walk(a, &p, ox, windows, to, stored, count, normalised);
}

AN_BODY void an_body_peaks(const an_peaks_args *a, uint64_t i)
{
    if (a->group == 4)
        an_peaks_group(a, i, AN_STORED_F32, 4, 0);
    else
        an_peaks_group(a, i, AN_STORED_BF16, 8, 0);
}

AN_BODY void an_body_lrn_peaks(const an_peaks_args *a, uint64_t i)
{
    if (a->group == 4)
        an_peaks_group(a, i, AN_STORED_F32, 4, 1);
    else
        an_peaks_group(a, i, AN_STORED_BF16, 8, 1);
}

#endif
