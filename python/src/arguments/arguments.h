/* The arguments of an_loader.Loader: read into liban's options, each by a row of a table. */
#ifndef AN_PYTHON_SRC_ARGUMENTS_ARGUMENTS_H
#define AN_PYTHON_SRC_ARGUMENTS_ARGUMENTS_H

#include "python/src/values/python.h"

#include <an/loader.h>

typedef enum { AN_PY_LABELS_I64, AN_PY_LABELS_I32, AN_PY_LABELS_ONEHOT } an_py_labels;

typedef struct {
    liban_loader_options options;
    PyObject *path; /* borrowed: a path or a Dataset */
    int labels;     /* an_py_labels */
    bool return_index, grey;
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

#endif
