/* Features: the activations of the last hidden layer, one row for each image of a dataset, kept in a safetensors file
 * (tensor "features", images x units, float32). Its metadata names everything that the values depend on: layer,
 * weights, dataset, precision and devices. Features are always finite: others are refused with AN_ECORRUPT, which names
 * the image. One thread at a time uses a viewer or an an_features. */
#ifndef AN_TOOLS_SHOW_CONTENT_FEATURES_H
#define AN_TOOLS_SHOW_CONTENT_FEATURES_H

#include "tools/show/content/viewer.h"

/* The last hidden layer and the number of its units. AN_EUNSUPPORTED if the network has none. */
int an_features_layer(const an_graph *graph, const char **layer, uint32_t *units);

/* Is given rows of features (count x units floats) and the records they belong to. A negative return ends the run. */
typedef struct {
    int (*rows)(void *context, const float *rows, const uint64_t *indices, uint32_t count);
    void *context;
} an_features_watcher;

/* Run the network over the whole dataset in stored order, or over the records in subset if it is not NULL. AN_STOPPED
 * after a signal. */
int an_features_make(an_viewer *viewer, const an_dataset *dataset, const uint64_t *subset, uint64_t subset_count,
                     const an_features_watcher *watcher);

typedef struct an_features an_features;

/* Open path if its metadata says that it holds what would be computed now. Otherwise compute the features and replace
 * path atomically. A path that exists but is no file of features is an error and stays. */
int an_features_get(an_features **out, const char *path, an_viewer *viewer, const an_dataset *dataset);
int an_features_open(an_features **out, const char *path);
void an_features_free(an_features *features); /* NULL is fine */

uint64_t an_features_count(const an_features *features);
uint32_t an_features_units(const an_features *features);
int an_features_read(const an_features *features, uint64_t first, uint64_t count, float *out);

#endif
