/* an_loader.Batch: a batch that the loader has lent. */
#ifndef AN_PYTHON_SRC_BATCH_PRIVATE_H
#define AN_PYTHON_SRC_BATCH_PRIVATE_H

#include "python/src/arguments/arguments.h"
#include "python/src/module_private.h"

#include <an/loader.h>

/* How a loader hands out its batches. */
typedef struct {
    an_py_labels labels;
    uint32_t classes;
    bool return_index;
} an_py_delivery;

/* Takes the batch over: on failure it is released. */
PyObject *an_py_batch_make(an_py_module *state, liban_batch *batch, const an_py_delivery *delivery);

#endif
