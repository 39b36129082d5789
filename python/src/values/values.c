#include "python/src/values/values.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int refuse_type(const char *name, PyObject *value, const char *wanted)
{
    PyErr_Format(PyExc_TypeError, "%s must be %s, not %R", name, wanted, value);
    return -1;
}

static int refuse_whole(const char *name, PyObject *value, uint64_t least, uint64_t most)
{
    if (most == UINT64_MAX)
        PyErr_Format(PyExc_ValueError, "%s is %S: it must be %llu or more, and fit 64 bits", name, value,
                     (unsigned long long)least);
    else
        PyErr_Format(PyExc_ValueError, "%s is %S: it must lie between %llu and %llu", name, value,
                     (unsigned long long)least, (unsigned long long)most);
    return -1;
}

int an_py_value_whole(const char *name, PyObject *value, uint64_t least, uint64_t most, uint64_t *out)
{
    PyObject *whole = PyNumber_Index(value);
    if (!whole)
        return PyErr_ExceptionMatches(PyExc_TypeError) ? refuse_type(name, value, "an integer") : -1;
    unsigned long long number = PyLong_AsUnsignedLongLong(whole);
    Py_DECREF(whole);
    if (number == (unsigned long long)-1 && PyErr_Occurred())
        return PyErr_ExceptionMatches(PyExc_OverflowError) ? refuse_whole(name, value, least, most) : -1;
    if (number < least || number > most)
        return refuse_whole(name, value, least, most);
    *out = number;
    return 0;
}

static int refuse_real(const char *name, PyObject *value, double low, double high)
{
    char range[64];
    if (isinf(high))
        snprintf(range, sizeof range, "it must be finite, and %g or more", low);
    else
        snprintf(range, sizeof range, "it must lie between %g and %g", low, high);
    PyErr_Format(PyExc_ValueError, "%s is %S: %s", name, value, range);
    return -1;
}

int an_py_value_double(const char *name, PyObject *value, double *out)
{
    *out = PyFloat_AsDouble(value);
    if (*out != -1 || !PyErr_Occurred())
        return 0;
    if (PyErr_ExceptionMatches(PyExc_TypeError))
        return refuse_type(name, value, "a number");
    if (PyErr_ExceptionMatches(PyExc_OverflowError))
        PyErr_Format(PyExc_ValueError, "%s is too large an integer", name);
    return -1;
}

int an_py_value_real(const char *name, PyObject *value, double low, double high, double *out)
{
    double number;
    if (an_py_value_double(name, value, &number) < 0)
        return -1;
    if (!isfinite(number) || number < low || number > high)
        return refuse_real(name, value, low, high);
    *out = number;
    return 0;
}

/* Texts and lists are true or false by their length, which nobody means who writes mirror="no". */
int an_py_value_bool(const char *name, PyObject *value, bool *out)
{
    if (value == Py_None || PyObject_HasAttrString(value, "__len__"))
        return refuse_type(name, value, "a bool");
    int truth = PyObject_IsTrue(value);
    if (truth < 0)
        return -1;
    *out = truth;
    return 0;
}

int an_py_value_text(const char *name, PyObject *value, const char **out)
{
    Py_ssize_t size = 0;
    if (!PyUnicode_Check(value))
        return refuse_type(name, value, "a str");
    *out = PyUnicode_AsUTF8AndSize(value, &size);
    if (*out && strlen(*out) == (size_t)size)
        return 0;
    if (*out || PyErr_ExceptionMatches(PyExc_UnicodeError))
        PyErr_Format(PyExc_ValueError, "%s is %R: it must be text without null characters and surrogates", name, value);
    return -1;
}

PyObject *an_py_value_bytes(const char *name, PyObject *value)
{
    if (!PyUnicode_Check(value)) {
        (void)refuse_type(name, value, "a str");
        return NULL;
    }
    PyObject *bytes = PyUnicode_AsEncodedString(value, "utf-8", "surrogateescape");
    if (!bytes && PyErr_ExceptionMatches(PyExc_UnicodeError))
        PyErr_Format(PyExc_ValueError, "%s is %R: it cannot be written as UTF-8", name, value);
    if (bytes && strlen(PyBytes_AsString(bytes)) != (size_t)PyBytes_Size(bytes)) {
        PyErr_Format(PyExc_ValueError, "%s is %R: it must not hold a null character", name, value);
        Py_CLEAR(bytes);
    }
    return bytes;
}

/* Says what is allowed: "u8", "f32" or "f16". */
static int refuse_choice(const char *name, PyObject *value, const char *const *choices)
{
    PyObject *list = PyUnicode_FromFormat("\"%s\"", choices[0]);
    for (int i = 1; list && choices[i]; i++) {
        PyObject *longer = PyUnicode_FromFormat(choices[i + 1] ? "%U, \"%s\"" : "%U or \"%s\"", list, choices[i]);
        Py_DECREF(list);
        list = longer;
    }
    if (list)
        PyErr_Format(PyExc_ValueError, "%s is %R: it must be %U", name, value, list);
    Py_XDECREF(list);
    return -1;
}

int an_py_value_choice(const char *name, PyObject *value, const char *const *choices, int *out)
{
    const char *text;
    if (an_py_value_text(name, value, &text) < 0)
        return -1;
    for (int i = 0; choices[i]; i++)
        if (!strcmp(choices[i], text)) {
            *out = i;
            return 0;
        }
    return refuse_choice(name, value, choices);
}
