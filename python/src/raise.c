#include "python/src/module_private.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

int64_t an_py_process(void)
{
    return getpid();
}

int an_py_check_process(int64_t owner, const char *what)
{
    if (owner == getpid())
        return 0;
    PyErr_Format(PyExc_RuntimeError,
                 "this %s belongs to another process, of which this one is a fork: make another one here", what);
    return -1;
}

/* OSError picks its subclass by the number: FileNotFoundError and so on. fallback: where the system gave none. */
static void raise_system(int fallback, PyObject *message, PyObject *path)
{
    int number = liban_error_number() ? liban_error_number() : fallback;
    PyObject *error = path ? PyObject_CallFunction(PyExc_OSError, "iOO", number, message, path)
                           : PyObject_CallFunction(PyExc_OSError, "iO", number, message);
    if (!error)
        return;
    PyErr_SetObject((PyObject *)Py_TYPE(error), error);
    Py_DECREF(error);
}

static void raise_damage(an_py_module *state, PyObject *message, an_py_place place)
{
    PyObject *error = PyObject_CallFunction(state->dataset_error, "O", message);
    if (!error)
        return;
    int failed = 0;
    if (place.path)
        failed = PyObject_SetAttrString(error, "path", place.path);
    if (!failed && place.has_record) {
        PyObject *record = PyLong_FromUnsignedLongLong(place.record);
        failed = record ? PyObject_SetAttrString(error, "record", record) : -1;
        Py_XDECREF(record);
    }
    if (!failed)
        PyErr_SetObject(state->dataset_error, error);
    Py_DECREF(error);
}

PyObject *an_py_raise(an_py_module *state, int code, an_py_place place)
{
    return an_py_raise_text(state, code, liban_error_message(), place);
}

PyObject *an_py_raise_text(an_py_module *state, int code, const char *text, an_py_place place)
{
    PyObject *message = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
    if (!message)
        return NULL;
    switch (code) {
    case LIBAN_EINVAL:
        PyErr_SetObject(PyExc_ValueError, message);
        break;
    case LIBAN_EIO:
        raise_system(EIO, message, place.path);
        break;
    case LIBAN_ENOTFOUND:
        raise_system(ENOENT, message, place.path);
        break;
    case LIBAN_ENOSPC:
        raise_system(ENOSPC, message, place.path);
        break;
    case LIBAN_ENOMEM:
        PyErr_SetObject(PyExc_MemoryError, message);
        break;
    case LIBAN_ECORRUPT:
        raise_damage(state, message, place);
        break;
    default: /* unsupported, forked, internal */
        PyErr_SetObject(PyExc_RuntimeError, message);
    }
    Py_DECREF(message);
    return NULL;
}
