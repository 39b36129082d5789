#include "train/watch/board.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/text/utf8.h"
#include "train/watch/filters.h"
#include "train/watch/hparams.h"

enum { TAG_MAX = 32 };

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

/* "validation/top-1", or where there are several sets "validation/NAME/top-1". */
static int write_validation(an_tensorboard *board, const an_train_event *e)
{
    char topk[TAG_MAX];
    snprintf(topk, sizeof(topk), "top-%u", an_event_k(e));
    const scalar values[] = {{"loss", e->loss}, {"top-1", e->top1}, {topk, e->topk}};
    an_buffer tag = {0};
    int rc = AN_OK;
    for (size_t i = 0; !rc && i < sizeof(values) / sizeof(values[0]); i++) {
        tag.size = 0;
        rc = an_buffer_printf(&tag, "validation/");
        if (!rc && e->set)
            rc = an_utf8_escape(e->set, strlen(e->set), &tag); /* strings of Protobuf are UTF-8 */
        if (!rc)
            rc = an_buffer_printf(&tag, "%s%s", e->set ? "/" : "", values[i].tag);
        if (!rc)
            rc = an_tensorboard_scalar(board, e->step, (const char *)tag.data, values[i].value);
    }
    an_buffer_free(&tag);
    return rc;
}

int an_board_event(an_tensorboard *board, const an_train_event *e)
{
    char topk[TAG_MAX];
    snprintf(topk, sizeof(topk), "training/top-%u", an_event_k(e));
    if (e->kind == AN_EVENT_TRAIN && an_train_event_has_norm(e)) {
        int rc = an_tensorboard_scalar(board, e->step, "training/gradient norm", e->gradient_norm);
        if (rc)
            return rc;
    }
    const scalar training[] = {{"training/loss", e->loss},
                               {"training/top-1", e->top1},
                               {topk, e->topk},
                               {"rate", e->rate},
                               {"speed/images per second", e->images_per_second},
                               {"speed/wait for data", e->wait}};
    if (e->kind == AN_EVENT_TRAIN)
        return write_scalars(board, e->step, training, sizeof(training) / sizeof(training[0]));
    if (e->kind == AN_EVENT_VALIDATION)
        return write_validation(board, e);
    if (e->kind == AN_EVENT_START)
        return an_hparams_start(board, e->step, e->time_ns, e->start);
    return AN_OK;
}

int an_board_end(an_tensorboard *board, uint64_t step)
{
    return an_hparams_end(board, step, an_clock_wall_ns());
}

static int write_filters(an_tensorboard *board, uint64_t step, const an_parameter *p, const float *weights)
{
    an_filter_sheet sheet;
    int rc = an_filter_sheet_draw(&sheet, weights, p->shape[0], p->shape[2]);
    if (rc == AN_END)
        return AN_OK; /* not finite: the run is about to end */
    if (!rc)
        rc = an_tensorboard_image(board, step, p->name, sheet.rgb, sheet.width, sheet.height);
    free(sheet.rgb);
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
    bool first_layer = p->rank == 4 && p->shape[1] == 3 && p->shape[2] == p->shape[3];
    return !rc && first_layer ? write_filters(board, step, p, values) : rc;
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
