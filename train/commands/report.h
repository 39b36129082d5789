/* What an-train eval prints: accuracy, single predictions, classes and confusions, as text or JSON. */
#ifndef AN_TRAIN_COMMANDS_REPORT_H
#define AN_TRAIN_COMMANDS_REPORT_H

#include "train/loop/evaluate.h"
#include "train/loop/predictions.h"

typedef struct {
    const char *weights;
    uint64_t step;
    const an_dataset *dataset;
    const char *view;  /* "centre" or "ten-crop" */
    bool training_set; /* dataset is what the weights were trained on */
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
