/* What the files of an_loader.Writer share: writer.c and writer_open.c. */
#ifndef AN_PYTHON_SRC_WRITER_PRIVATE_H
#define AN_PYTHON_SRC_WRITER_PRIVATE_H

#include <pthread.h>

#include <an/writer.h>

#include "python/src/module_private.h"

enum { AN_PY_LABEL_MAX = 999999 };

typedef struct {
    PyObject_HEAD;
    pthread_mutex_t lock; /* of writer; taken without the GIL, because it is held while images are decoded */
    liban_writer *writer; /* NULL after finish() and close() */
    PyObject *path;       /* str */
    int64_t process;
    uint64_t label_max; /* the last class that was given, or AN_PY_LABEL_MAX */
} an_py_writer;

PyObject *an_py_writer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs);
/* The exception that belongs to a code of liban; returns NULL. */
PyObject *an_py_writer_fail(an_py_writer *self, int code);

#endif
