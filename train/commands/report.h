/* What an-train eval prints: accuracy, single predictions, classes and confusions, as text or JSON. */
#ifndef AN_TRAIN_COMMANDS_REPORT_H
#define AN_TRAIN_COMMANDS_REPORT_H

#include "train/loop/evaluate.h"
#include "train/loop/predictions.h"

/* One of the networks that were evaluated. */
typedef struct {
    char *weights; /* path of the file */
    uint64_t step;
    bool training_set; /* the dataset is what the weights were trained on */
    an_evaluation result;
} an_eval_network;

typedef struct {
    const an_eval_network *networks; /* of several, the mean of their predictions is the result */
    int network_count;
    const an_dataset *dataset;
    const char *view; /* "centre" or "ten-crop" */
    an_evaluation result;
    const an_prediction *shown;
    size_t shown_count;
    const an_confusion *confusion;
    bool per_class;
    int pairs; /* confusions listed */
} an_eval_report;

int an_eval_report_print(const an_eval_report *report);
int an_eval_report_print_json(const an_eval_report *report);

#endif
