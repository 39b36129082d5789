/* Part of bodies.h: images from bytes to inputs of the network.
 *
 * Blocks of 4 x 4 pixels, as conv1 reads them: a thread writes two rows of a block, 24 values. Their bytes and their
 * means are neighbours, so it reads both rows with six loads of 4 bytes and six of 16 at once, and its neighbours read
 * and write what lies beside that. Whatever else images lie in: a thread writes 16 bytes, made of runs of four values
 * that are neighbours in a row of the image, wherever these lie inside the image and in one row of the block.
 *
 * 128 images of 224 pixels in bf16 take 19.3 MB of bytes, 39.9 MB of values, and 77 MB of means, which stay in the
 * cache: the mean image's copies take 6.3 MB. */
#ifndef AN_MODEL_CUDA_KERNELS_CONVERT_H
#define AN_MODEL_CUDA_KERNELS_CONVERT_H

#include "model/cuda/kernels/values.h"

#define AN_RUN 4

AN_BODY uint32_t an_divide(uint32_t number, an_divisor divisor)
{
    return (uint32_t)((uint64_t)(2 * number) * divisor.factor >> 32) >> divisor.shift;
}

/* One image of the batch. */
typedef struct {
    const uint8_t *bytes;
    const float *mean; /* the first of four copies of the mean image, mirrored if the image is */
    int mean_first;    /* the value of the mean image that lies below the image's first one */
    float shift[3];    /* of the group's first value and the two behind it; then they repeat */
    float scale;
} an_convert_image;

/* colour: of the group's first value. */
AN_BODY an_convert_image an_convert_image_of(const an_convert_args *a, uint32_t n, uint32_t colour)
{
    an_convert_image image = {(const uint8_t *)a->at.in[0] + (uint64_t)n * a->image_bytes,
                              (const float *)a->at.in[2],
                              0,
                              {0, 0, 0},
                              a->scale};
    if (!a->at.in[1])
        return image;
    const an_image_draw *draw = (const an_image_draw *)a->at.in[1] + n;
    AN_TOUCH(draw, sizeof *draw);
    image.scale = a->scale * draw->factor;
    float red = draw->shift[0], green = draw->shift[1], blue = draw->shift[2];
    image.shift[0] = colour == 0 ? red : colour == 1 ? green : blue;
    image.shift[1] = colour == 0 ? green : colour == 1 ? blue : red;
    image.shift[2] = colour == 0 ? blue : colour == 1 ? red : green;
    if (!a->mean_side)
        return image;
    int column = draw->flip ? a->mean_side - a->w - (int)draw->x : (int)draw->x;
    image.mean_first = ((int)draw->y * a->mean_side + column) * 3;
    image.mean += draw->flip ? 4 * (uint64_t)a->mean_plane : 0;
    return image;
}

/* Performs the operations of augment/pixels/pixels.c in the same order, without fused multiply-add, so both give the
 * same bits. */
AN_BODY float an_convert_value(uint32_t byte, float mean, float shift, float scale)
{
    return (((float)byte - mean) + shift) * scale;
}

/* The value in row y of the image, number v of its row; 0 outside of the image. */
AN_BODY float an_convert_one(const an_convert_args *a, const an_convert_image *image, int y, int v, float shift)
{
    if (y < 0 || y >= a->h || v < 0 || v >= a->row)
        return 0;
    const uint8_t *byte = image->bytes + (y * a->row + v);
    const float *mean = image->mean + (image->mean_first + y * a->mean_side * 3 + v);
    AN_TOUCH(byte, sizeof *byte);
    AN_TOUCH(mean, sizeof *mean);
    return an_convert_value(*byte, *mean, shift, image->scale);
}

AN_BODY uint32_t an_convert_bytes(const uint8_t *from, int words)
{
    uint32_t word = 0;
    if (words) {
        AN_TOUCH(from, sizeof(an_word));
        return *(const an_word *)(const void *)from;
    }
    AN_UNROLL for (int k = 0; k < AN_RUN; k++) word |= (uint32_t)an_load_byte(from, (uint64_t)k) << (8 * k);
    return word;
}

/* Where a run of a block begins: in row dy of the block, value r of that row. */
typedef struct {
    uint32_t dy, r;
} an_convert_place;

AN_BODY an_convert_place an_convert_step(const an_convert_args *a, an_convert_place p, uint32_t values)
{
    p.r += values;
    if (p.r >= a->line.by) {
        p.r -= a->line.by;
        p.dy++;
    }
    return p;
}

/* The run of a block that begins with value `number` of the group. top, left: the row of the image, and the value in
 * that row, of the block's first value; both may lie outside. */
AN_BODY void an_convert_run(const an_convert_args *a, const an_convert_image *image, int top, int left,
                            an_convert_place p, int number, int words, float *out)
{
    int y = top + (int)p.dy, v = left + (int)p.r;
    if (p.dy < (uint32_t)a->side && p.r + AN_RUN <= a->line.by && y >= 0 && y < a->h && v >= 0 &&
        v + AN_RUN <= a->row) {
        uint32_t bytes = an_convert_bytes(image->bytes + (y * a->row + v), words);
        int f = image->mean_first + y * a->mean_side * 3 + v, copy = f & 3;
        float mean[AN_RUN];
        an_group_load(image->mean, AN_STORED_F32, (uint64_t)copy * a->mean_plane + (uint64_t)(f - copy), AN_RUN, mean);
        AN_UNROLL for (int k = 0; k < AN_RUN; k++)
        {
            out[k] = an_convert_value(bytes >> (8 * k) & 0xFF, mean[k], image->shift[(number + k) % 3], image->scale);
        }
        return;
    }
    AN_UNROLL for (int k = 0; k < AN_RUN; k++)
    {
        out[k] = p.dy < (uint32_t)a->side
                     ? an_convert_one(a, image, top + (int)p.dy, left + (int)p.r, image->shift[(number + k) % 3])
                     : 0;
        p = an_convert_step(a, p, 1);
    }
}

/* What a group is made of: its image, its block's first row and value (an_convert_run), its first value's number and
 * place in the block. */
typedef struct {
    uint32_t n, first;
    int top, left;
    an_convert_place place;
} an_convert_origin;

AN_BODY an_convert_origin an_convert_origin_of(const an_convert_args *a, uint32_t item, int count)
{
    uint32_t block = an_divide(item, a->groups), first = (item - block * a->groups.by) * (uint32_t)count;
    uint32_t line = an_divide(block, a->columns), column = block - line * a->columns.by;
    uint32_t n = an_divide(line, a->rows), row = line - n * a->rows.by, dy = an_divide(first, a->line);
    an_convert_origin o = {
        n, first, (int)row * a->side - a->pad, ((int)column * a->side - a->pad) * 3, {dy, first - dy * a->line.by}};
    return o;
}

/* The group's values, of image n at the same place. All colours of a block come in turn, as its rows are whole pixels.
 */
AN_BODY void an_convert_values(const an_convert_args *a, const an_convert_origin *o, uint32_t n, int count, int words,
                               float *values)
{
    an_convert_image image = an_convert_image_of(a, n, o->first % 3);
    an_convert_place p = o->place;
    AN_UNROLL for (int k = 0; k < count; k += AN_RUN)
    {
        an_convert_run(a, &image, o->top, o->left, p, k, words, values + k);
        p = an_convert_step(a, p, AN_RUN);
    }
}

AN_BODY void an_convert_group(const an_convert_args *a, uint32_t item, an_stored stored, int count, int words)
{
    an_convert_origin o = an_convert_origin_of(a, item, count);
    float values[8];
    an_convert_values(a, &o, o.n, count, words, values);
    an_group_store(a->at.out[0], stored, (uint64_t)item * (uint64_t)count, count, values);
}

/* Each operation is rounded, as the CPU's input does it. */
AN_BODY float an_mix_value(float own, float partner, float share)
{
#ifdef __CUDA_ARCH__
    return __fadd_rn(__fmul_rn(share, own), __fmul_rn(1.0F - share, partner));
#else
    return share * own + (1.0F - share) * partner;
#endif
}

/* Values outside of the image, and beyond the block, are 0 in both images. */
AN_BODY void an_mix_group(const an_convert_args *a, const an_convert_origin *o, const an_image_draw *draw, int count,
                          const float *partner, float *values)
{
    an_convert_place p = o->place;
    AN_UNROLL for (int k = 0; k < count; k++)
    {
        int y = o->top + (int)p.dy, v = o->left + (int)p.r;
        if (draw->box[2] <= draw->box[0])
            values[k] = an_mix_value(values[k], partner[k], draw->share);
        else if (y >= draw->box[1] && y < draw->box[3] && v >= 3 * draw->box[0] && v < 3 * draw->box[2])
            values[k] = partner[k];
        p = an_convert_step(a, p, 1);
    }
}

/* A group of a batch in which images are mixed. */
AN_BODY void an_convert_mix(const an_convert_args *a, uint32_t item, an_stored stored, int count)
{
    an_convert_origin o = an_convert_origin_of(a, item, count);
    const an_image_draw *draw = (const an_image_draw *)a->at.in[1] + o.n;
    float values[8], partner[8];
    an_convert_values(a, &o, o.n, count, a->words, values);
    AN_TOUCH(draw, sizeof *draw);
    if (draw->share < 1 && (o.n ^ 1) < a->images) {
        an_convert_values(a, &o, o.n ^ 1, count, a->words, partner);
        an_mix_group(a, &o, draw, count, partner, values);
    }
    an_group_store(a->at.out[0], stored, (uint64_t)item * (uint64_t)count, count, values);
}

/* Byte number k of a word as a float. A device puts it below the bits of 2^23: the sum is exact, and so is the
 * difference. */
AN_BODY float an_byte_float(uint32_t word, int k)
{
#ifdef __CUDA_ARCH__
    return __uint_as_float(__byte_perm(word, 0x4B000000U, 0x7440U | (uint32_t)k)) - 8388608.0F;
#else
    return (float)(word >> (8 * k) & 0xFF);
#endif
}

#define AN_BLOCK_LINE 12 /* values in a row of a block of 4 x 4 pixels */

/* Two rows of a block that lie in the image, from row y and value v on. Nothing is computed before all is asked for. */
AN_BODY void an_convert_lines(const an_convert_args *a, const an_convert_image *image, int y, int v, float *out)
{
    float mean[2 * AN_BLOCK_LINE];
    uint32_t words[2 * AN_BLOCK_LINE / 4];
    AN_UNROLL for (int line = 0; line < 2; line++)
    {
        int f = image->mean_first + (y + line) * a->mean_side * 3 + v, copy = f & 3, first = line * AN_BLOCK_LINE;
        const uint8_t *bytes = image->bytes + ((y + line) * a->row + v);
        AN_UNROLL for (int k = 0; k < AN_BLOCK_LINE; k += 4) words[(first + k) / 4] = an_convert_bytes(bytes + k, 1);
        an_group_load(image->mean, AN_STORED_F32, (uint64_t)copy * a->mean_plane + (uint64_t)(f - copy), AN_BLOCK_LINE,
                      mean + first);
    }
    AN_UNROLL for (int k = 0; k < 2 * AN_BLOCK_LINE; k++)
    {
        out[k] = ((an_byte_float(words[k / 4], k % 4) - mean[k]) + image->shift[k % 3]) * image->scale;
    }
}

/* Two rows of a block of 4 x 4 pixels. Where the image ends within them, they are converted group by group. */
AN_BODY void an_convert_pair(const an_convert_args *a, uint32_t item, an_stored stored)
{
    uint32_t block = item / 2, line = an_divide(block, a->columns), column = block - line * a->columns.by;
    uint32_t n = an_divide(line, a->rows), row = line - n * a->rows.by;
    int y = (int)(row * 4 + item % 2 * 2) - a->pad, v = ((int)column * 4 - a->pad) * 3;
    int count = stored == AN_STORED_F32 ? 4 : 8, groups = 2 * AN_BLOCK_LINE / count;
    float values[2 * AN_BLOCK_LINE];
    if (y >= 0 && y + 2 <= a->h && v >= 0 && v + AN_BLOCK_LINE <= a->row) {
        an_convert_image image = an_convert_image_of(a, n, 0);
        an_convert_lines(a, &image, y, v, values);
    } else if (y + 2 <= 0 || y >= a->h || v + AN_BLOCK_LINE <= 0 || v >= a->row) {
        AN_UNROLL for (int k = 0; k < 2 * AN_BLOCK_LINE; k++) values[k] = 0;
    } else {
        for (int g = 0; g < groups; g++)
            an_convert_group(a, item * (uint32_t)groups + (uint32_t)g, stored, count, 1);
        return;
    }
    an_group_store(a->at.out[0], stored, (uint64_t)item * (2 * AN_BLOCK_LINE), 2 * AN_BLOCK_LINE, values);
}

AN_BODY void an_body_convert_pairs(const an_convert_args *a, uint64_t i)
{
    if (a->stored == AN_STORED_F32)
        an_convert_pair(a, (uint32_t)i, AN_STORED_F32);
    else
        an_convert_pair(a, (uint32_t)i, AN_STORED_BF16);
}

AN_BODY void an_body_convert_mixed(const an_convert_args *a, uint64_t i)
{
    if (a->stored == AN_STORED_F32)
        an_convert_mix(a, (uint32_t)i, AN_STORED_F32, 4);
    else
        an_convert_mix(a, (uint32_t)i, AN_STORED_BF16, 8);
}

AN_BODY void an_body_convert(const an_convert_args *a, uint64_t i)
{
    if (a->stored == AN_STORED_F32)
        an_convert_group(a, (uint32_t)i, AN_STORED_F32, 4, a->words);
    else if (a->words)
        an_convert_group(a, (uint32_t)i, AN_STORED_BF16, 8, 1);
    else
        an_convert_group(a, (uint32_t)i, AN_STORED_BF16, 8, 0);
}

#endif
