/* Part of bodies.h: images from bytes to inputs of the network. A thread writes 16 bytes of a block. They are made of
 * runs of four values that are neighbours in a row of the image, wherever these lie inside the image and in one row of
 * the block: then their bytes are read at once, as are the four means.
 *
 * 128 images of 224 pixels, in blocks of 4 x 4 and bf16, take 19.3 MB of bytes and 39.9 MB of values, and from the
 * cache 77 MB of means. The machine code for compute capability 9.0 has 241 instructions for 16 bytes in the middle of
 * an image, 30 for a value; 132 multiprocessors that start four warps' instructions in each of 1.75e9 cycles a second
 * need 20 us for them, and memory of 3 TB/s 20 us for the bytes. */
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
} an_convert_image;

/* colour: of the group's first value. */
AN_BODY an_convert_image an_convert_image_of(const an_convert_args *a, uint32_t n, uint32_t colour)
{
    an_convert_image image = {
        (const uint8_t *)a->at.in[0] + (uint64_t)n * a->image_bytes, (const float *)a->at.in[2], 0, {0, 0, 0}};
    if (!a->at.in[1])
        return image;
    const an_image_draw *draw = (const an_image_draw *)a->at.in[1] + n;
    AN_TOUCH(draw, sizeof *draw);
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
AN_BODY float an_convert_value(const an_convert_args *a, uint32_t byte, float mean, float shift)
{
    return (((float)byte - mean) + shift) * a->scale;
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
    return an_convert_value(a, *byte, *mean, shift);
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
            out[k] = an_convert_value(a, bytes >> (8 * k) & 0xFF, mean[k], image->shift[(number + k) % 3]);
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

/* All colours of a block come in turn, as its rows are whole pixels. */
AN_BODY void an_convert_group(const an_convert_args *a, uint32_t item, an_stored stored, int count, int words)
{
    uint32_t block = an_divide(item, a->groups), first = (item - block * a->groups.by) * (uint32_t)count;
    uint32_t line = an_divide(block, a->columns), column = block - line * a->columns.by;
    uint32_t n = an_divide(line, a->rows), row = line - n * a->rows.by;
    an_convert_image image = an_convert_image_of(a, n, first % 3);
    int top = (int)row * a->side - a->pad, left = ((int)column * a->side - a->pad) * 3;
    an_convert_place p = {an_divide(first, a->line), 0};
    float values[8];
    p.r = first - p.dy * a->line.by;
    AN_UNROLL for (int k = 0; k < count; k += AN_RUN)
    {
        an_convert_run(a, &image, top, left, p, k, words, values + k);
        p = an_convert_step(a, p, AN_RUN);
    }
    an_group_store(a->at.out[0], stored, (uint64_t)item * (uint64_t)count, count, values);
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
