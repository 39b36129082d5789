/* an_loader.Array: a view of memory in a storage, with a shape. Immutable, so threads share it without a lock. */
#ifndef AN_PYTHON_SRC_ARRAY_PRIVATE_H
#define AN_PYTHON_SRC_ARRAY_PRIVATE_H

#include "python/src/module_private.h"
#include "python/src/storage_private.h"

typedef enum {
    AN_PY_UINT8,
    AN_PY_FLOAT32,
    AN_PY_BFLOAT16,
    AN_PY_FLOAT16,
    AN_PY_INT64,
    AN_PY_INT32,
    AN_PY_UINT16
} an_py_dtype;

typedef struct {
    const char *name;
    const char *format; /* of the struct module; NULL: it has none */
    uint8_t size;       /* bytes */
    uint8_t dl_kind;
} an_py_dtype_row;

const an_py_dtype_row *an_py_dtype_get(an_py_dtype dtype);

enum { AN_PY_DIMENSIONS_MAX = 4 };

typedef struct {
    an_py_dtype dtype;
    int dimensions; /* 1 or more */
    Py_ssize_t shape[AN_PY_DIMENSIONS_MAX];
    bool writable;
    int device; /* -1: the host; else the number of the CUDA device */
} an_py_form;

typedef struct {
    PyObject_HEAD;
    an_py_storage *storage; /* held */
    void *data;
    an_py_form form;
    Py_ssize_t strides[AN_PY_DIMENSIONS_MAX]; /* bytes; rows lie without gaps */
} an_py_array;

/* data lies in storage, which the array holds as well from now on. */
PyObject *an_py_array_make(an_py_module *state, an_py_storage *storage, void *data, const an_py_form *form);
/* The same for memory that was allocated and is the array's alone: the caller's hold goes over, also on failure. A NULL
 * storage is a MemoryError. */
PyObject *an_py_array_take(an_py_module *state, an_py_storage *storage, const an_py_form *form);

size_t an_py_array_size(const an_py_array *array); /* bytes */

/* Let a stream use the batch in a storage, which lies on a device. stream: as in __dlpack__. */
int an_py_storage_use(an_py_module *state, an_py_storage *storage, PyObject *stream);

PyObject *an_py_array_dlpack(PyObject *self, PyObject *args, PyObject *kwargs); /* __dlpack__ */
PyObject *an_py_array_dlpack_device(PyObject *self, PyObject *unused);          /* __dlpack_device__ */

#endif
