#include "train/watch/board.h"

#include <math.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/error.h"

typedef struct {
    const char *tag;
    double value;
} scalar;

static int write_scalars(an_tensorboard *board, uint64_t step, const scalar *scalars, size_t count)
{
    int rc = AN_OK;
    for (size_t i = 0; !rc && i < count; i++)
        rc = an_tensorboard_scalar(board, step, scalars[i].tag, scalars[i].value);
    return rc;
}

int an_board_event(an_tensorboard *board, const an_train_event *e)
{
    const scalar training[] = {{"training/loss", e->loss},
                               {"training/top-1", e->top1},
                               {"training/top-5", e->top5},
                               {"rate", e->rate},
                               {"speed/images per second", e->images_per_second},
                               {"speed/wait for data", e->wait}};
    const scalar validation[] = {
        {"validation/loss", e->loss}, {"validation/top-1", e->top1}, {"validation/top-5", e->top5}};
    if (e->kind == AN_EVENT_TRAIN)
        return write_scalars(board, e->step, training, sizeof(training) / sizeof(training[0]));
    if (e->kind == AN_EVENT_VALIDATION)
        return write_scalars(board, e->step, validation, sizeof(validation) / sizeof(validation[0]));
    return AN_OK;
}

/* ---- Filters: COLUMNS side by side, each weight a square of SCALE x SCALE pixels, grey where it is 0 ---- */

enum { COLUMNS = 16, SCALE = 3, GAP = 1 };

typedef struct {
    int filters, side, tile, width, height;
    float largest;
    const float *weights; /* filters x 3 x side x side */
} sheet;

static uint8_t shade(const sheet *s, float weight)
{
    return (uint8_t)lrintf(127.5f + 127.5f * weight / s->largest);
}

static void draw_filter(const sheet *s, int filter, uint8_t *rgb)
{
    int left = filter % COLUMNS * s->tile, top = filter / COLUMNS * s->tile;
    for (int y = 0; y < s->side * SCALE; y++)
        for (int x = 0; x < s->side * SCALE; x++)
            for (int c = 0; c < 3; c++) {
                size_t weight =
                    (((size_t)filter * 3 + (size_t)c) * (size_t)s->side + (size_t)(y / SCALE)) * (size_t)s->side +
                    (size_t)(x / SCALE);
                rgb[((size_t)(top + y) * (size_t)s->width + (size_t)(left + x)) * 3 + (size_t)c] =
                    shade(s, s->weights[weight]);
            }
}

static int draw_filters(an_tensorboard *board, uint64_t step, const an_parameter *p, const float *weights)
{
    sheet s = {.filters = p->shape[0], .side = p->shape[2], .weights = weights, .largest = 1e-30f};
    s.tile = s.side * SCALE + GAP;
    s.width = COLUMNS * s.tile - GAP;
    s.height = (s.filters + COLUMNS - 1) / COLUMNS * s.tile - GAP;
    for (uint64_t i = 0; i < p->size; i++) {
        if (!isfinite(weights[i]))
            return AN_OK;
        s.largest = fmaxf(s.largest, fabsf(weights[i]));
    }
    uint8_t *rgb = calloc((size_t)s.width * (size_t)s.height, 3);
    if (!rgb)
        return an_error(AN_ENOMEM, "out of memory for a picture of filters");
    for (int i = 0; i < s.filters; i++)
        draw_filter(&s, i, rgb);
    int rc = an_tensorboard_image(board, step, p->name, rgb, (uint32_t)s.width, (uint32_t)s.height);
    free(rgb);
    return rc;
}

static int write_parameter(an_tensorboard *board, uint64_t step, const an_checkpoint_parameters *from, int number,
                           float *room)
{
    const an_parameter *p = an_exec_parameter(from->exec, number);
    const float *values = NULL;
    int rc = an_checkpoint_values(from, number, AN_PARAMETER_VALUE, room, &values);
    if (!rc)
        rc = an_tensorboard_histogram(board, step, p->name, values, p->size);
    bool first_layer = p->rank == 4 && p->shape[1] == 3;
    return !rc && first_layer ? draw_filters(board, step, p, values) : rc;
}

int an_board_parameters(an_tensorboard *board, uint64_t step, const an_checkpoint_parameters *from)
{
    uint64_t most = 1;
    int count = an_exec_parameter_count(from->exec);
    for (int i = 0; i < count; i++)
        if (an_exec_parameter(from->exec, i)->size > most)
            most = an_exec_parameter(from->exec, i)->size;
    void *room = NULL;
    int rc = an_pages_alloc(&room, most * sizeof(float));
    if (rc)
        return rc;
    for (int i = 0; !rc && i < count; i++)
        rc = write_parameter(board, step, from, i, room);
    an_pages_free(room, most * sizeof(float));
    return rc;
}
