/* Accuracy over a dataset, without dropout: of the centre of each image, or of the mean prediction for the paper's ten
 * crops. The calling thread drives the network. Outputs that are not finite end an evaluation with AN_ECORRUPT: no
 * accuracy can be told from them. */
#ifndef AN_TRAIN_LOOP_EVALUATE_H
#define AN_TRAIN_LOOP_EVALUATE_H

#include "model/exec.h"
#include "train/group/group.h"
#include "train/setup/data.h"

typedef struct {
    uint64_t images;
    double loss;         /* mean cross entropy */
    uint64_t top1, topk; /* images whose label has a rank below 1, below k: predictions.h */
    uint32_t k;
    bool diverged; /* failed because the network's outputs are not finite */
} an_evaluation;

/* image is called for each image, in the order of the dataset and by the calling thread, with its probabilities
 * (classes floats, all finite). If it returns a negative code, the evaluation ends and returns that code. */
typedef struct {
    int (*image)(void *context, uint64_t index, uint32_t label, const float *probabilities);
    void *context;
    uint32_t classes;
} an_evaluate_watcher;

/* Count an image by its finite probabilities, the loss not yet divided by the number of images. */
void an_evaluation_add(an_evaluation *sum, uint32_t label, const float *probabilities, uint32_t classes);

/* watcher may be NULL. AN_STOPPED if a stop was requested before the end. */
int an_evaluate_centre(an_exec *exec, const an_train_view_options *options, const an_evaluate_watcher *watcher,
                       an_evaluation *out);

/* The same with a loader of an_train_view_loader that repeats and stands at the beginning of a pass: delivers one pass
 * of the dataset. After a failure or a stop it stands somewhere within it. */
int an_evaluate_pass(an_exec *exec, an_loader *loader, const an_dataset *dataset, an_evaluation *out);

/* The same, divided among ranks, all of which call it together: out is what all of them found, the same on each.
 * loader: of this rank's share; NULL if that is none. images: of the dataset, or of the part that is looked at.
 * AN_STOPPED for all if one was asked to stop. */
int an_evaluate_divided(an_exec *exec, an_group *group, const an_train_share *share, an_loader *loader,
                        const an_dataset *dataset, uint64_t images, an_evaluation *out);

/* Corners and centre, each also mirrored: the mean of the ten softmax outputs decides. options->batch is at least 10,
 * the watcher is not NULL. Where the device decodes, exec has a decoder for blocks of an_evaluate_ten_crop_block bytes.
 */
int an_evaluate_ten_crop(an_exec *exec, const an_train_view_options *options, const an_evaluate_watcher *watcher,
                         an_evaluation *out);
int an_evaluate_ten_crop_block(const an_train_view_options *options, size_t *out);

#endif
