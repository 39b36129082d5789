/* Another form of the gradient of normalisation, pooling and activation (model/cuda/kernels/peaks_back.h): a thread
 * works on blocks of 2 x 2 pixels of x, and in a block on one row of two pixels, or on one pixel, after the other. For
 * each it reads the windows' gradients and positions once. It takes fewer registers and less code, and more
 * instructions. */
#ifndef AN_TESTS_MODEL_GPU_PEAKS_PARTS_H
#define AN_TESTS_MODEL_GPU_PEAKS_PARTS_H

#include "model/cuda/kernels/bodies.h"

/* The window whose values begin at first. */
AN_BODY an_peaks_window an_parts_window_load(const an_peaks_args *a, uint64_t first, an_sides sides, an_stored stored,
                                             int count, int normalised)
{
    an_peaks_window w;
    const uint8_t *taken = (const uint8_t *)a->at.in[2] + first;
    an_halo_load(a->at.in[1], stored, first, normalised ? 2 : 0, sides, w.slopes);
    an_words_load((const char *)taken, count / 4, w.taken);
    if (normalised) {
        uint32_t before = sides.before ? an_taken_pair(taken - 2) : AN_TAKEN_NONE;
        w.beyond = before | (sides.after ? an_taken_pair(taken + count) : AN_TAKEN_NONE) << 16;
    }
    return w;
}

/* Whether value k, counted from the halo's first, was at this position, which every byte of positions holds. */
AN_BODY int an_parts_was_at(const an_peaks_window *w, int k, int halo, int count, uint32_t positions)
{
    int own = k - halo, byte = own < 0 ? k : own < count ? own % 4 : 2 + own - count;
    uint32_t word = own < 0 || own >= count ? w->beyond : w->taken[own / 4];
    return ((word ^ positions) & 0xFFU << 8 * byte) == 0;
}

/* Adds a window's gradients where the pixel, which is at this position of the window, held the maximum. */
AN_BODY void an_parts_window_add(const an_peaks_window *w, int position, an_stored stored, int count, int halo,
                                 float *slopes)
{
    uint32_t positions = (uint32_t)position * 0x01010101U;
    AN_UNROLL for (int k = 0; k < count + 2 * halo; k++)
    {
        if (an_parts_was_at(w, k, halo, count, positions))
            slopes[k] += an_word_value(w->slopes, stored, k);
    }
}

/* Pixel by pixel: the gradient of x, and of what was before the activation. */
AN_BODY void an_parts_pixel_store(const an_peaks_back_args *args, const uint32_t *words, const float *slopes,
                                  uint64_t place, an_stored stored, int count, int normalised, int accumulate,
                                  float *sums)
{
    float out[8] = {0};
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
    an_group_put(args->peaks.at.out[0], stored, place, count, out, accumulate);
}

/* A block of 2 x 2 pixels, in row by and column bx of those of an image. */
typedef struct {
    int by, bx;
    uint64_t pixel, window; /* indices in memory of its first pixel and of the window that begins there; beyond the
                               tensor if they do not exist */
    an_sides sides;
} an_peaks_block;

AN_BODY an_peaks_block an_parts_block_of(const an_peaks_args *a, uint32_t block, int c, an_sides sides)
{
    uint32_t high = (uint32_t)(a->h + 1 + a->pad) / 2, wide = (uint32_t)(a->w + 1 + a->pad) / 2;
    int n = (int)(block / wide / high), by = (int)(block / wide % high), bx = (int)(block % wide);
    int64_t pixel = (int64_t)(n * a->h + 2 * by - a->pad) * a->w + 2 * bx - a->pad;
    int64_t window = (int64_t)(n * a->oh + by) * a->ow + bx;
    an_peaks_block b = {by, bx, an_rows_index(&a->from, (uint64_t)pixel, c), an_rows_index(&a->to, (uint64_t)window, c),
                        sides};
    return b;
}

/* The index that lies rows and columns of a tensor further, w pixels in a row. */
AN_BODY uint64_t an_index_moved(uint64_t index, const an_rows *lie, int rows, int columns, int w)
{
    return index + (uint64_t)(int64_t)((rows * w + columns) * lie->channels);
}

/* Which of its pixels: rows x columns of them, from row py and column px on. */
typedef struct {
    int py, px, rows, columns;
} an_peaks_part;

/* Adds the gradients of the windows that begin in the row of blocks `up` above, or in that of the block. */
AN_BODY void an_parts_windows_add(const an_peaks_args *a, const an_peaks_block *b, const an_peaks_part *part, int up,
                                  an_stored stored, int count, int normalised, float (*slopes)[12])
{
    AN_UNROLL for (int left = 0; left < 2; left++)
    {
        int oy = b->by - up, ox = b->bx - left;
        if (left > 1 - part->px || oy < 0 || oy >= a->oh || ox < 0 || ox >= a->ow)
            continue;
        uint64_t first = an_index_moved(b->window, &a->to, -up, -left, a->ow);
        an_peaks_window w = an_parts_window_load(a, first, b->sides, stored, count, normalised);
        AN_UNROLL for (int i = 0; i < part->rows * part->columns; i++)
        {
            int y = part->py + i / part->columns + 2 * up, x = part->px + i % part->columns + 2 * left;
            if ((part->rows == 1 || y <= 2) && x <= 2)
                an_parts_window_add(&w, y * 3 + x, stored, count, normalised ? 2 : 0, slopes[i]);
        }
    }
}

/* The gradients of the values of a part's pixels: the sums over the windows that cover each, which begin in the block
 * or, for pixels of its first row (or column), in the block above (or to the left) as well. */
AN_BODY void an_parts_slopes(const an_peaks_args *a, const an_peaks_block *b, const an_peaks_part *part,
                             an_stored stored, int count, int normalised, float (*slopes)[12])
{
    AN_UNROLL for (int i = 0; i < part->rows * part->columns; i++)
    {
        AN_UNROLL for (int k = 0; k < count + (normalised ? 4 : 0); k++) slopes[i][k] = 0;
    }
    if (part->rows == 2) {
        an_parts_windows_add(a, b, part, 0, stored, count, normalised, slopes);
        an_parts_windows_add(a, b, part, 1, stored, count, normalised, slopes);
    } else {
        AN_NO_UNROLL for (int up = 0; up < 2 - part->py; up++)
            an_parts_windows_add(a, b, part, up, stored, count, normalised, slopes);
    }
}

AN_BODY void an_parts_part_back(const an_peaks_back_args *args, const an_peaks_block *b, const an_peaks_part *part,
                                an_stored stored, int count, int normalised, int accumulate, float *sums)
{
    const an_peaks_args *a = &args->peaks;
    int halo = normalised ? 4 : 0, top = 2 * b->by - a->pad + part->py, left = 2 * b->bx - a->pad + part->px;
    uint32_t words[4][12];
    float slopes[4][12];
    uint64_t place[4];
    int within[4];
    AN_UNROLL for (int i = 0; i < part->rows * part->columns; i++)
    {
        int y = top + i / part->columns, x = left + i % part->columns;
        within[i] = y >= 0 && y < a->h && x >= 0 && x < a->w;
        place[i] = an_index_moved(b->pixel, &a->from, part->py + i / part->columns, part->px + i % part->columns, a->w);
        if ((normalised || args->activation) && within[i])
            an_halo_load(a->at.in[0], stored, place[i], halo, b->sides, words[i]);
    }
    an_parts_slopes(a, b, part, stored, count, normalised, slopes);
    AN_UNROLL for (int i = 0; i < part->rows * part->columns; i++)
    {
        if (within[i])
            an_parts_pixel_store(args, words[i], slopes[i], place[i], stored, count, normalised, accumulate, sums);
    }
}

/* The parts of a block, one after another. */
AN_BODY void an_parts_block_back(const an_peaks_back_args *args, const an_peaks_block *b, int rows, int columns,
                                 an_stored stored, int count, int normalised, int accumulate, float *sums)
{
    AN_NO_UNROLL for (int py = 0; py < 2; py += rows) AN_NO_UNROLL for (int px = 0; px < 2; px += columns)
    {
        an_peaks_part part = {py, px, rows, columns};
        if (rows == 2)
            part.py = 0;
        if (columns == 2)
            part.px = 0;
        an_parts_part_back(args, b, &part, stored, count, normalised, accumulate, sums);
    }
}

AN_BODY void an_parts_back_group(const an_peaks_back_args *args, uint64_t item, int rows, int columns, an_stored stored,
                                 int count, int normalised, int accumulate)
{
    const an_peaks_args *a = &args->peaks;
    uint32_t groups = (uint32_t)(a->channels / count), chunk = (uint32_t)item / groups;
    uint32_t blocks = (uint32_t)a->n * (uint32_t)((a->h + 1 + a->pad) / 2) * (uint32_t)((a->w + 1 + a->pad) / 2);
    int c = (int)((uint32_t)item % groups) * count;
    an_sides sides = an_sides_of(c, count, a->width);
    float sums[8];
    AN_UNROLL for (int k = 0; k < count; k++) sums[k] = 0;
    AN_NO_UNROLL for (uint32_t block = chunk; block < blocks; block += args->chunks)
    {
        an_peaks_block b = an_parts_block_of(a, block, c, sides);
        an_parts_block_back(args, &b, rows, columns, stored, count, normalised, accumulate, sums);
    }
    if (a->at.out[1])
        an_sums_store(a->at.out[1], (uint64_t)chunk * (uint64_t)a->channels + (uint64_t)c, count, sums);
}

/* Adding to what is there takes instructions even where nothing is added, so it has code of its own. */
AN_BODY void an_parts_back(const an_peaks_back_args *args, uint64_t i, int rows, int columns, int normalised)
{
    int half = args->peaks.group == 8;
    if (half && !args->accumulate)
        an_parts_back_group(args, i, rows, columns, AN_STORED_BF16, 8, normalised, 0);
    else if (half)
        an_parts_back_group(args, i, rows, columns, AN_STORED_BF16, 8, normalised, 1);
    else if (!args->accumulate)
        an_parts_back_group(args, i, rows, columns, AN_STORED_F32, 4, normalised, 0);
    else
        an_parts_back_group(args, i, rows, columns, AN_STORED_F32, 4, normalised, 1);
}

#endif
