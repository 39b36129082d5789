/* Accuracy over a dataset without dropout: the centre of each image, or the paper's ten crops with their mean
 * prediction. */
#ifndef AN_TRAIN_LOOP_EVALUATE_H
#define AN_TRAIN_LOOP_EVALUATE_H

#include "model/exec.h"
#include "train/setup/data.h"

typedef struct {
    uint64_t images;
    double loss;         /* mean cross entropy */
    uint64_t top1, top5; /* correct ones */
    bool diverged;       /* failed because the network's outputs are not finite */
} an_evaluation;

/* Told each image's probabilities (classes floats). A negative return ends the evaluation. */
typedef struct {
    int (*image)(void *context, uint64_t index, uint32_t label, const float *probabilities);
    void *context;
    uint32_t classes;
} an_evaluate_watcher;

/* watcher may be NULL. AN_STOPPED when a stop was requested before the end. */
int an_evaluate_centre(an_exec *exec, const an_train_view_options *options, const an_evaluate_watcher *watcher,
                       an_evaluation *out);

/* Corners and centre, each also mirrored; the mean of the ten softmax outputs decides. options->batch >= 10. */
int an_evaluate_ten_crop(an_exec *exec, const an_train_view_options *options, const an_evaluate_watcher *watcher,
                         an_evaluation *out);

#endif
