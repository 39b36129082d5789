#include "python/src/values/numbers.h"

#include <stdlib.h>
#include <string.h>

/* One list on its way from Python. */
typedef struct {
    const char *what;
    bool real; /* doubles, else uint64_t; both have 8 bytes */
    union {
        void *memory;
        double *reals;
        uint64_t *wholes;
    } out;
    size_t count, room;
} list;

static int grow(list *l, size_t room)
{
    void *memory = realloc(l->out.memory, (room ? room : 1) * 8);
    if (!memory) {
        PyErr_NoMemory();
        return -1;
    }
    l->out.memory = memory;
    l->room = room;
    return 0;
}

static int refuse_negative(const list *l, long long value)
{
    PyErr_Format(PyExc_ValueError, "%s[%zu] is %lld: 0 or more is needed", l->what, l->count, value);
    return -1;
}

static int put_signed(list *l, int64_t value)
{
    if (!l->real && value < 0)
        return refuse_negative(l, value);
    if (l->real)
        l->out.reals[l->count++] = (double)value;
    else
        l->out.wholes[l->count++] = (uint64_t)value;
    return 0;
}

static int put_unsigned(list *l, uint64_t value)
{
    if (l->real)
        l->out.reals[l->count++] = (double)value;
    else
        l->out.wholes[l->count++] = value;
    return 0;
}

static int put_real(list *l, double value)
{
    if (!l->real) {
        PyErr_Format(PyExc_TypeError, "%s must hold integers, not floating-point numbers", l->what);
        return -1;
    }
    l->out.reals[l->count++] = value;
    return 0;
}

#define READ(type)                                                                                                     \
    type value;                                                                                                        \
    memcpy(&value, at, sizeof value)

/* Append the number of that format at this place. */
static int put_item(list *l, char format, const char *at)
{
    switch (format) {
    case 'b': {
        READ(int8_t);
        return put_signed(l, value);
    }
    case 'h': {
        READ(int16_t);
        return put_signed(l, value);
    }
    case 'i': {
        READ(int32_t);
        return put_signed(l, value);
    }
    case 'l':
    case 'q': {
        READ(int64_t);
        return put_signed(l, value);
    }
    case 'B': {
        READ(uint8_t);
        return put_unsigned(l, value);
    }
    case 'H': {
        READ(uint16_t);
        return put_unsigned(l, value);
    }
    case 'I': {
        READ(uint32_t);
        return put_unsigned(l, value);
    }
    case 'L':
    case 'Q': {
        READ(uint64_t);
        return put_unsigned(l, value);
    }
    case 'f': {
        READ(float);
        return put_real(l, value);
    }
    default: {
        READ(double);
        return put_real(l, value);
    }
    }
}

static int refuse_mask(const list *l)
{
    PyErr_Format(PyExc_TypeError, "%s is a mask: give the numbers themselves, such as numpy.flatnonzero(mask)",
                 l->what);
    return -1;
}

/* The format's letter, which says the size too; 0 with an exception if such numbers are not read. */
static char letter_of(const list *l, const Py_buffer *view)
{
    static const char letters[] = "bhilqBHILQfd";
    static const unsigned char sizes[] = {1, 2, 4, 8, 8, 1, 2, 4, 8, 8, 4, 8};
    const char *format = view->format ? view->format : "B";
    const char *found = NULL;
    if (*format == '@' || *format == '=' || *format == '<')
        format++;
    if (format[0] && !format[1])
        found = strchr(letters, format[0]);
    if (found && sizes[found - letters] == view->itemsize)
        return format[0];
    if (!strcmp(format, "?"))
        (void)refuse_mask(l);
    else
        PyErr_Format(PyExc_TypeError, "%s holds elements of format '%s': integers or float32 or float64 are read",
                     l->what, view->format);
    return 0;
}

static int read_view(list *l, const Py_buffer *view)
{
    if (view->ndim != 1) {
        PyErr_Format(PyExc_ValueError, "%s has %d dimensions: one is needed", l->what, view->ndim);
        return -1;
    }
    char letter = letter_of(l, view);
    if (!letter)
        return -1;
    Py_ssize_t count = view->shape[0];
    if (grow(l, (size_t)count) < 0)
        return -1;
    const char *at = view->buf;
    for (Py_ssize_t i = 0; i < count; i++, at += view->strides[0])
        if (put_item(l, letter, at) < 0)
            return -1;
    return 0;
}

/* An element of a mask, which would pass for the number 0 or 1: a bool, or a tensor whose dtype says bool. */
static bool is_truth(PyObject *object)
{
    if (PyLong_CheckExact(object) || PyBool_Check(object))
        return PyBool_Check(object);
    /* Python's cache of attributes holds on to every name that is not the interned one. */
    PyObject *attribute = PyUnicode_InternFromString("dtype");
    PyObject *dtype = attribute ? PyObject_GetAttr(object, attribute) : NULL,
             *text = dtype ? PyObject_Str(dtype) : NULL;
    const char *name = text ? PyUnicode_AsUTF8AndSize(text, NULL) : NULL;
    bool found = name && strstr(name, "bool");
    PyErr_Clear();
    Py_XDECREF(attribute);
    Py_XDECREF(dtype);
    Py_XDECREF(text);
    return found;
}

static int put_object(list *l, PyObject *object)
{
    if (l->count == l->room && grow(l, l->room ? l->room * 2 : 64) < 0)
        return -1;
    if (l->real) {
        double value = PyFloat_AsDouble(object);
        return value == -1 && PyErr_Occurred() ? -1 : put_real(l, value);
    }
    PyObject *whole = PyNumber_Index(object);
    if (!whole)
        return -1;
    int overflow;
    long long value = PyLong_AsLongLongAndOverflow(whole, &overflow);
    Py_DECREF(whole);
    if (!overflow)
        return put_signed(l, value);
    PyErr_Format(PyExc_ValueError, "%s[%zu] is %S: that is no record's number", l->what, l->count, object);
    return -1;
}

/* Python's own exceptions do not say which argument it was. */
static int name_failure(const list *l, PyObject *object)
{
    if (PyErr_ExceptionMatches(PyExc_OverflowError))
        PyErr_Format(PyExc_ValueError, "%s[%zu] is too large an integer", l->what, l->count);
    else if (PyErr_ExceptionMatches(PyExc_TypeError))
        PyErr_Format(PyExc_TypeError, "%s must hold %s: element %zu is not one, but %R", l->what,
                     l->real ? "numbers" : "integers", l->count, object);
    return -1;
}

static int read_iterable(list *l, PyObject *object)
{
    PyObject *iterator = PyObject_GetIter(object);
    if (!iterator) {
        if (PyErr_ExceptionMatches(PyExc_TypeError))
            PyErr_Format(PyExc_TypeError, "%s must be a sequence of %s or None, not %R", l->what,
                         l->real ? "numbers" : "integers", object);
        return -1;
    }
    PyObject *element;
    int failed = 0;
    while (!failed && (element = PyIter_Next(iterator))) {
        if (!l->real && is_truth(element))
            failed = refuse_mask(l);
        else if (put_object(l, element) < 0)
            failed = name_failure(l, element);
        Py_DECREF(element);
    }
    Py_DECREF(iterator);
    return failed || PyErr_Occurred() ? -1 : 0;
}

static int read_list(list *l, PyObject *object)
{
    if (!PyObject_CheckBuffer(object))
        return read_iterable(l, object);
    Py_buffer view;
    if (PyObject_GetBuffer(object, &view, PyBUF_FORMAT | PyBUF_STRIDES) < 0)
        return -1;
    int failed = read_view(l, &view);
    PyBuffer_Release(&view);
    return failed;
}

static int read_all(list *l, PyObject *object, uint64_t *count)
{
    if (read_list(l, object) < 0) {
        free(l->out.memory);
        return -1;
    }
    *count = l->count;
    return 0;
}

int an_py_numbers_whole(PyObject *object, const char *what, uint64_t **out, uint64_t *count)
{
    list l = {.what = what};
    if (read_all(&l, object, count) < 0)
        return -1;
    *out = l.out.wholes;
    return 0;
}

int an_py_numbers_real(PyObject *object, const char *what, double **out, uint64_t *count)
{
    list l = {.what = what, .real = true};
    if (read_all(&l, object, count) < 0)
        return -1;
    *out = l.out.reals;
    return 0;
}
