/* The mean of several networks' predictions. The networks look at a dataset one after another, so only one of them is
 * in memory at a time, and with it a float for each class of each image: 200 MB for 50000 images of 1000 classes. Used
 * by one thread. */
#ifndef AN_TRAIN_LOOP_ENSEMBLE_H
#define AN_TRAIN_LOOP_ENSEMBLE_H

#include "train/loop/evaluate.h"

typedef struct {
    const an_dataset *dataset;
    uint32_t classes;
    uint32_t top;      /* k of the evaluation of their mean */
    uint32_t networks; /* that have looked at it */
    float *sums;       /* images x classes: of their probabilities */
} an_ensemble;

int an_ensemble_init(an_ensemble *out, const an_dataset *dataset, uint32_t classes, uint32_t top);
void an_ensemble_free(an_ensemble *ensemble); /* zeroed is fine */

/* For the evaluation of the next network: adds its predictions. */
an_evaluate_watcher an_ensemble_watcher(an_ensemble *ensemble);

/* The accuracy of the mean of all predictions that were added; each image's mean goes to watcher. loss is the mean
 * cross entropy of the mean prediction. */
int an_ensemble_evaluate(an_ensemble *ensemble, const an_evaluate_watcher *watcher, an_evaluation *out);

#endif
