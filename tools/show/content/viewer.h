/* A trained network that is ready to run, and the names of its classes. One thread uses a viewer. */
#ifndef AN_TOOLS_SHOW_CONTENT_VIEWER_H
#define AN_TOOLS_SHOW_CONTENT_VIEWER_H

#include "augment/sample.h"
#include "base/program/options.h"
#include "model/exec.h"
#include "store/dataset/dataset.h"
#include "train/loop/predictions.h"
#include "train/trained/trained.h"

/* What every command that runs a network lets the user choose. */
typedef struct {
    const char *run, *weights, *recipe, *devices;
    int batch, compute_threads, loader_threads;
} an_viewer_options;

/* Entries of an option table for a member of that type. */
#define AN_VIEWER_WEIGHTS(owner, member)                                                                               \
    {.name = "run",                                                                                                    \
     .key = 'r',                                                                                                       \
     .type = AN_OPTION_STRING,                                                                                         \
     .metavar = "FOLDER",                                                                                              \
     .offset = offsetof(owner, member.run),                                                                            \
     .help = "the best checkpoint of this run (the newest, if it never validated)"},                                   \
        {.name = "weights",                                                                                            \
         .key = 'w',                                                                                                   \
         .type = AN_OPTION_STRING,                                                                                     \
         .metavar = "FILE",                                                                                            \
         .offset = offsetof(owner, member.weights),                                                                    \
         .help = "this file: a checkpoint or an export, or weights alone with --recipe"},                              \
    {                                                                                                                  \
        .name = "recipe", .type = AN_OPTION_STRING, .metavar = "FILE", .offset = offsetof(owner, member.recipe),       \
        .help = "of weights that another program wrote: network, crop and all else that a checkpoint would tell"       \
    }
#define AN_VIEWER_MACHINE(owner, member)                                                                               \
    {.heading = "Machine:"},                                                                                           \
        {.name = "batch",                                                                                              \
         .key = 'b',                                                                                                   \
         .type = AN_OPTION_INT,                                                                                        \
         .metavar = "N",                                                                                               \
         .initial = "64",                                                                                              \
         .min = 1,                                                                                                     \
         .max = 65536,                                                                                                 \
         .offset = offsetof(owner, member.batch),                                                                      \
         .help = "images at a time"},                                                                                  \
        {.name = "devices",                                                                                            \
         .type = AN_OPTION_STRING,                                                                                     \
         .metavar = "LIST",                                                                                            \
         .initial = "cpu",                                                                                             \
         .offset = offsetof(owner, member.devices),                                                                    \
         .help = "where the network's two logical devices run"},                                                       \
    {                                                                                                                  \
        .name = "compute-threads", .type = AN_OPTION_INT, .metavar = "N", .initial = "0", .min = 0, .max = 1024,       \
        .offset = offsetof(owner, member.compute_threads), .help = "compute threads (0: all processors)"               \
    }

#define AN_VIEWER_LOADER(owner, member)                                                                                \
    {                                                                                                                  \
        .name = "threads", .key = 'j', .type = AN_OPTION_INT, .metavar = "N", .initial = "0", .min = 0, .max = 1024,   \
        .offset = offsetof(owner, member.loader_threads), .help = "loader threads (0: chosen)"                         \
    }

/* Where the network comes from. dataset: see an_trained_source; NULL is fine. */
an_trained_source an_viewer_source(const an_viewer_options *options, const an_dataset *dataset);

typedef struct {
    an_viewer_options options;
    an_trained trained;
    an_exec *exec;
    an_graph graph;
    uint32_t classes;
    char **ids, **names; /* of each class */
} an_viewer;

/* Class names come from dataset, which must have the network's classes. If dataset is NULL they come from the training
 * set, or are the ids if that is no longer where it was. Without exec only the graph and the names are opened, and the
 * network cannot run. */
int an_viewer_open(an_viewer *out, const an_viewer_options *options, const an_dataset *dataset, bool exec);
void an_viewer_close(an_viewer *viewer); /* zeroed is fine */

/* Open a dataset that has images. */
int an_viewer_dataset(an_dataset **out, const char *path);

/* A sampler that takes the centre of square images of side pixels, prepared as for training. */
int an_viewer_sampler(const an_viewer *viewer, uint32_t side, an_sampler **out);

/* The class that a folder's name stands for (id or name), or -1. */
int an_viewer_class(const an_viewer *viewer, const char *name, size_t length);

#endif
