/* an-train eval: command_eval.c reads the command line, command_eval_run.c evaluates. */
#ifndef AN_TRAIN_COMMANDS_COMMAND_EVAL_PRIVATE_H
#define AN_TRAIN_COMMANDS_COMMAND_EVAL_PRIVATE_H

#include "base/program/options.h"

typedef struct {
    an_option_list runs, weights;
    const char *recipe, *devices;
    int top, batch, loader_threads, compute_threads, show, pairs, decode;
    bool ten_crop, per_class, json;
} an_eval_options;

/* Check what concerns several options at once: AN_EINVAL. */
int an_eval_check(const an_eval_options *options);

/* Evaluate the networks on the dataset at path and print the report. */
int an_eval_run(const an_eval_options *options, const char *path);

#endif
