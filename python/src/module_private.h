/* What the files of the extension an_loader._native share: its state, its types, and how failures become exceptions.
 *
 * The extension is plain C over liban's public headers and Python's limited API (values/python.h). It says to
 * free-threaded builds of Python that it needs no global interpreter lock (GIL).
 *
 * State. Nothing here is static and mutable: each interpreter has its own an_py_module. All types are final, so the
 * type of an object leads to its module's state (an_py_module_of).
 *
 * Threads. Every function is called with the GIL, or attached to a free-threaded interpreter, unless it says otherwise;
 * so what several threads may change has a lock of its own. Whatever can wait lets the GIL go.
 *
 * Failures. Functions that return PyObject * return NULL with an exception set; those that return int return -1 with an
 * exception set. */
#ifndef AN_PYTHON_SRC_MODULE_PRIVATE_H
#define AN_PYTHON_SRC_MODULE_PRIVATE_H

#include "python/src/values/python.h"

#include <an/common.h>

typedef struct {
    PyTypeObject *array, *batch, *dataset, *names, *loader, *iterator, *writer;
    PyObject *dataset_error;
} an_py_module;

static inline an_py_module *an_py_module_of(PyObject *self)
{
    return PyType_GetModuleState(Py_TYPE(self));
}

/* Make a type, keep it in *out and, if its name does not begin with an underscore, add it to the module. */
int an_py_type_add(PyObject *module, PyType_Spec *spec, PyTypeObject **out);

/* Each adds its type to the module and to its state. */
int an_py_array_add(PyObject *module, an_py_module *state);
int an_py_batch_add(PyObject *module, an_py_module *state);
int an_py_dataset_add(PyObject *module, an_py_module *state);
int an_py_names_add(PyObject *module, an_py_module *state);
int an_py_loader_add(PyObject *module, an_py_module *state);
int an_py_iterator_add(PyObject *module, an_py_module *state);
int an_py_writer_add(PyObject *module, an_py_module *state);

/* Free self's memory and give up its type: the end of every tp_dealloc. */
void an_py_object_free(PyObject *self);
/* A new object of that type, its members zero. */
void *an_py_object_make(PyTypeObject *type);
PyObject *an_py_enter(PyObject *self, PyObject *unused); /* __enter__ of all that a with statement takes: self */
/* self[index], for the iterators that PySeqIter_New makes: the sq_item of types whose subscript does the work. */
PyObject *an_py_item(PyObject *self, Py_ssize_t index);

/* Text from bytes that are probably UTF-8 and may be anything: what is not becomes surrogates, as in file names. */
PyObject *an_py_text(const char *bytes, size_t size);

/* Where a failure happened. */
typedef struct {
    PyObject *path;  /* of the dataset; a str, or NULL */
    uint64_t record; /* meaningful if has_record */
    bool has_record;
} an_py_place;

/* Set the exception that belongs to a negative code of liban, with this thread's message, and return NULL. */
PyObject *an_py_raise(an_py_module *state, int code, an_py_place place);
PyObject *an_py_raise_text(an_py_module *state, int code, const char *text, an_py_place place); /* another message */

/* Set a RuntimeError if this process is a fork of the one that made what belongs to owner. what: "loader". */
int an_py_check_process(int64_t owner, const char *what);
int64_t an_py_process(void);

#define AN_PY_DOC(text)                                                                                                \
    {                                                                                                                  \
        Py_tp_doc, (char *)(text)                                                                                      \
    }

/* Methods of types that cannot be pickled: refuse, with the reason. */
#define AN_PY_NO_PICKLE(function)                                                                                      \
    {                                                                                                                  \
        "__reduce__", function, METH_NOARGS, PyDoc_STR("__reduce__($self)\n--\n\nRaises TypeError.")                   \
    }

#endif
