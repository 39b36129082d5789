/* CUDA devices: the module that decodes on them, and the streams that use batches there. */
#ifndef AN_PYTHON_SRC_DEVICE_DEVICE_H
#define AN_PYTHON_SRC_DEVICE_DEVICE_H

#include <stdbool.h>

#include "python/src/values/python.h"

/* Tell liban where the module lies if the package an_loader_cuda13 is installed; *found: whether it is, or the
 * environment names another module. */
int an_py_device_find(bool *found);

/* Read a stream as the array API standard has it for CUDA: None and 1 are the default stream (legacy), 2 is the default
 * stream of this thread, a greater number is a cudaStream_t, and -1 asks for nothing: then *use is false. */
int an_py_device_stream(PyObject *value, bool *use, void **stream);

#endif
