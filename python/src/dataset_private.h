/* an_loader.Dataset and its names. */
#ifndef AN_PYTHON_SRC_DATASET_PRIVATE_H
#define AN_PYTHON_SRC_DATASET_PRIVATE_H

#include "python/src/module_private.h"

#include <an/dataset.h>

/* An open dataset with a count of its holders, so that close() may be called while other threads read. */
typedef struct an_py_open an_py_open;

/* For a call: NULL with an exception set if the dataset is closed, or this process is a fork. */
an_py_open *an_py_dataset_hold(PyObject *dataset);
void an_py_dataset_drop(an_py_open *open);
liban_dataset *an_py_dataset_of(an_py_open *open);

/* path: str, bytes or os.PathLike. what: the argument's name, for messages. */
PyObject *an_py_dataset_make(an_py_module *state, PyObject *path, const char *what);
PyObject *an_py_dataset_path(PyObject *dataset); /* a str, borrowed */

/* The Python number as an index of count elements, negative ones from the end; -1 with an IndexError or TypeError. */
int an_py_dataset_index(PyObject *number, uint64_t count, uint64_t *out);

/* Members. */
PyObject *an_py_dataset_subscript(PyObject *self, PyObject *number);
PyObject *an_py_dataset_encoded(PyObject *self, PyObject *number);
PyObject *an_py_dataset_labels(PyObject *self, void *unused);
PyObject *an_py_dataset_info(PyObject *self, PyObject *unused);
PyObject *an_py_dataset_class_texts(PyObject *self, bool ids);

PyObject *an_py_names_make(an_py_module *state, PyObject *dataset);

#endif
