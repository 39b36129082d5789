/* Readers of arguments that are no plain numbers. name: the argument's, for the TypeError or ValueError. */
#ifndef AN_PYTHON_SRC_ARGUMENTS_READERS_PRIVATE_H
#define AN_PYTHON_SRC_ARGUMENTS_READERS_PRIVATE_H

#include "python/src/arguments/arguments.h"

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
