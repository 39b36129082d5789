/* CUDA devices: the module that decodes on them, and the streams that use batches there. */
#ifndef AN_PYTHON_SRC_DEVICE_PRIVATE_H
#define AN_PYTHON_SRC_DEVICE_PRIVATE_H

#include "python/src/module_private.h"
#include "python/src/storage_private.h"

/* Tell liban where the module lies if the package an_loader_cuda13 is installed; *found: whether it is. */
int an_py_device_find(bool *found);

/* Set the exception for a loader that could not be made for a device, with this thread's message, and return NULL.
 * found: as above. */
PyObject *an_py_device_raise(an_py_module *state, int code, an_py_place place, bool found);

/* Let a stream use a batch on a device. stream is what the array API standard says for CUDA: None and 1 are the default
 * stream (legacy), 2 is the default stream of this thread, a greater number is a cudaStream_t, and -1 asks for
 * nothing. */
int an_py_device_use(an_py_module *state, an_py_storage *storage, PyObject *stream);

#endif
