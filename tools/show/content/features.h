/* Features: what the last hidden layer answers to each image of a dataset, a row each, in a safetensors file
 * ("features", images x units, float32). The file says which weights and which dataset it belongs to. */
#ifndef AN_TOOLS_SHOW_CONTENT_FEATURES_H
#define AN_TOOLS_SHOW_CONTENT_FEATURES_H

#include "tools/show/content/viewer.h"

/* The last hidden layer and its units. AN_EUNSUPPORTED where there is none. */
int an_features_layer(const an_graph *graph, const char **layer, uint32_t *units);

/* Told rows of features, count x units, of the records in indices. A negative return ends. */
typedef struct {
    int (*rows)(void *context, const float *rows, const uint64_t *indices, uint32_t count);
    void *context;
} an_features_watcher;

/* Run the network over dataset in stored order, or over the records in subset. AN_STOPPED after a signal. */
int an_features_make(an_viewer *viewer, const an_dataset *dataset, const uint64_t *subset, uint64_t subset_count,
                     const an_features_watcher *watcher);

typedef struct an_features an_features;

/* Open path if it holds the features of dataset under these weights; else compute them and write path, atomically. */
int an_features_get(an_features **out, const char *path, an_viewer *viewer, const an_dataset *dataset);
int an_features_open(an_features **out, const char *path);
void an_features_free(an_features *features); /* NULL is fine */

uint64_t an_features_count(const an_features *features);
uint32_t an_features_units(const an_features *features);
int an_features_read(const an_features *features, uint64_t first, uint64_t count, float *out);

#endif
