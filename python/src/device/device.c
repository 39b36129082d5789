#include "python/src/device/device.h"

#include <stdint.h>
#include <stdlib.h>

#include <an/loader.h>

/* ---- the module ------------------------------------------------------------------------------------------------- */

/* The package's constant MODULE; NULL without an exception if it is not installed. */
static PyObject *package_module(void)
{
    PyObject *package = PyImport_ImportModule("an_loader_cuda13");
    if (!package) {
        if (PyErr_ExceptionMatches(PyExc_ModuleNotFoundError))
            PyErr_Clear();
        return NULL;
    }
    PyObject *file = PyObject_GetAttrString(package, "MODULE");
    Py_DECREF(package);
    return file;
}

int an_py_device_find(bool *found)
{
    const char *named = getenv("AN_DECODE_MODULE");
    PyObject *file = package_module();
    *found = file || (named && *named);
    if (!file)
        return PyErr_Occurred() ? -1 : 0;
    PyObject *bytes = PyUnicode_EncodeFSDefault(file);
    Py_DECREF(file);
    if (!bytes)
        return -1;
    int rc = liban_device_module(PyBytes_AsString(bytes));
    Py_DECREF(bytes);
    if (!rc)
        return 0;
    PyErr_SetString(PyExc_ValueError, liban_error_message());
    return -1;
}

/* ---- streams ---------------------------------------------------------------------------------------------------- */

enum { LEGACY = 1 }; /* as cudaStreamLegacy; 2 is cudaStreamPerThread */

int an_py_device_stream(PyObject *value, bool *use, void **stream)
{
    int overflow;
    *use = true;
    *stream = (void *)(uintptr_t)LEGACY;
    if (value == Py_None)
        return 0;
    if (!PyLong_Check(value) || PyBool_Check(value)) {
        PyErr_Format(PyExc_TypeError, "stream must be an integer or None, not %R", value);
        return -1;
    }
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    if (overflow || number < -1 || number == 0) {
        PyErr_Format(PyExc_ValueError,
                     "stream is %R, but must be 1 (the legacy default stream), 2 (the default stream of the thread), a "
                     "cudaStream_t as a number, or -1 (do not wait)",
                     value);
        return -1;
    }
    *use = number > 0;
    *stream = (void *)(uintptr_t)number;
    return 0;
}
