/* What a process of a run starts with: program, machine, data and recipe, so that metrics.jsonl and TensorBoard say how
 * their numbers came about. A plain value; its strings are the teller's and need to live only as long as the call that
 * is given it. Any thread. */
#ifndef AN_TRAIN_WATCH_START_H
#define AN_TRAIN_WATCH_START_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct {
    const char *path;
    uint64_t fingerprint, images;
} an_start_dataset;

typedef struct {
    const char *version, *commit; /* of the program; commit NULL: not known */
    const char *processor;
    const char *devices;                 /* as --devices names them */
    const char *accelerators;            /* a line for each one of the machine; "": the network runs on processors */
    const char *ranks;                   /* "4 ranks on 2 hosts, Open MPI 4.1.4"; NULL: a single process */
    int compute_threads, loader_threads; /* of a rank */
    an_start_dataset training;
    const an_start_dataset *validation;
    int validations;
    const char *weights;    /* file that the weights were set from; NULL: none */
    const char *checkpoint; /* file that the run goes on from; NULL: none */
    const char *recipe;     /* lines "name = value" */
} an_train_start;

struct json_t;

/* Adds all of it to an event's object. AN_ENOMEM without memory. */
int an_start_describe(const an_train_start *start, struct json_t *object);

typedef struct {
    const char *name, *value; /* within the text, without zeros at their ends */
    size_t name_length, value_length;
} an_recipe_line;

/* The next line of a recipe at *at, which is moved behind it. False if there is none. */
bool an_recipe_next(const char **at, an_recipe_line *out);

#endif
