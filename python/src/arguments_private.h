/* The arguments of an_loader.Loader: read into liban's options, each by a row of a table. */
#ifndef AN_PYTHON_SRC_ARGUMENTS_PRIVATE_H
#define AN_PYTHON_SRC_ARGUMENTS_PRIVATE_H

#include "python/src/batch_private.h"

#include <an/loader.h>

typedef struct {
    liban_loader_options options;
    PyObject *path; /* borrowed: a path or a Dataset */
    int labels;     /* an_py_labels */
    bool return_index, grey, pinned;
    /* Owned, and what options point to. */
    uint64_t *indices;
    double *weights;
    liban_crop_change *sizes;
} an_py_arguments;

/* Read and check what can be checked without the dataset. Texts in options belong to args and kwargs. After a failure,
 * too, an_py_arguments_clear frees what was read. */
int an_py_arguments_read(an_py_arguments *out, PyObject *args, PyObject *kwargs);
/* Check what liban would refuse by a name of its own, for a dataset of images of side x side pixels. */
int an_py_arguments_check(const an_py_arguments *arguments, uint32_t side);
void an_py_arguments_clear(an_py_arguments *arguments);

/* Readers of arguments that are no plain numbers. */
int an_py_read_order(const char *name, PyObject *value, an_py_arguments *out);
int an_py_read_resized(const char *name, PyObject *value, an_py_arguments *out);
int an_py_read_mean(const char *name, PyObject *value, an_py_arguments *out);
int an_py_read_std(const char *name, PyObject *value, an_py_arguments *out);
int an_py_read_indices(const char *name, PyObject *value, an_py_arguments *out);
int an_py_read_weights(const char *name, PyObject *value, an_py_arguments *out);
int an_py_read_sizes(const char *name, PyObject *value, an_py_arguments *out);
int an_py_read_engine(const char *name, PyObject *value, an_py_arguments *out);
int an_py_read_device(const char *name, PyObject *value, an_py_arguments *out);

#endif
