#include "train/watch/board.h"

#include <stdlib.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "train/watch/filters.h"
#include "train/watch/hparams.h"

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
    if (e->kind == AN_EVENT_TRAIN && an_train_event_has_norm(e)) {
        int rc = an_tensorboard_scalar(board, e->step, "training/gradient norm", e->gradient_norm);
        if (rc)
            return rc;
    }
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
