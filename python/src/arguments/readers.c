#include "python/src/arguments/readers_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "python/src/values/numbers.h"
#include "python/src/values/values.h"

/* "global", "sequential" or "block:K" */
int an_py_read_order(const char *name, PyObject *value, an_py_arguments *out)
{
    const char *text;
    if (an_py_value_text(name, value, &text) < 0)
        return -1;
    if (!strcmp(text, "global") || !strcmp(text, "sequential")) {
        out->options.order = *text == 'g' ? LIBAN_ORDER_GLOBAL : LIBAN_ORDER_SEQUENTIAL;
        return 0;
    }
    char *end = NULL;
    bool block = !strncmp(text, "block:", 6) && text[6] >= '1' && text[6] <= '9';
    unsigned long long number = block ? strtoull(text + 6, &end, 10) : 0;
    if (!block || *end || number > INT64_MAX) {
        PyErr_Format(PyExc_ValueError,
                     "%s is %R: it must be \"global\", \"sequential\" or \"block:K\", K records to a block", name,
                     value);
        return -1;
    }
    out->options.order = LIBAN_ORDER_BLOCK;
    out->options.block = number;
    return 0;
}

/* None: off. */
int an_py_read_resized(const char *name, PyObject *value, an_py_arguments *out)
{
    return value == Py_None ? 0 : an_py_value_real(name, value, 1e-4, 1, &out->options.resized);
}

/* Arrays and tensors are numbers, too, but those without dimensions alone have no length. */
static bool is_single(PyObject *value)
{
    bool single = PyNumber_Check(value) && PyObject_Size(value) < 0;
    PyErr_Clear();
    return single;
}

/* One number for all channels, or three. */
static int read_triple(const char *name, PyObject *value, double out[3])
{
    if (is_single(value)) {
        if (an_py_value_double(name, value, &out[0]) < 0)
            return -1;
        out[1] = out[2] = out[0];
        return 0;
    }
    double *numbers;
    uint64_t count;
    if (an_py_numbers_real(value, name, &numbers, &count) < 0)
        return -1;
    if (count == 3)
        memcpy(out, numbers, 3 * sizeof *out);
    free(numbers);
    if (count == 3)
        return 0;
    PyErr_Format(PyExc_ValueError, "%s has %llu numbers: one or three are needed", name, (unsigned long long)count);
    return -1;
}

static int check_triple(const char *name, PyObject *value, const double triple[3], bool positive)
{
    for (int i = 0; i < 3; i++)
        if (!isfinite(triple[i]) || (positive && triple[i] <= 0)) {
            PyErr_Format(PyExc_ValueError, "%s is %R: its numbers must be finite%s", name, value,
                         positive ? " and above 0" : "");
            return -1;
        }
    return 0;
}

int an_py_read_mean(const char *name, PyObject *value, an_py_arguments *out)
{
    if (value == Py_None)
        return 0;
    if (!PyUnicode_Check(value)) {
        out->options.mean = LIBAN_MEAN_GIVEN;
        if (read_triple(name, value, out->options.mean_given) < 0)
            return -1;
        return check_triple(name, value, out->options.mean_given, false);
    }
    const char *text;
    if (an_py_value_text(name, value, &text) < 0)
        return -1;
    out->options.mean = !strcmp(text, "dataset") ? LIBAN_MEAN_DATASET : LIBAN_MEAN_PIXEL;
    if (!strcmp(text, "dataset") || !strcmp(text, "pixel"))
        return 0;
    PyErr_Format(PyExc_ValueError, "%s is %R: it must be a number, three numbers, \"dataset\", \"pixel\" or None", name,
                 value);
    return -1;
}

int an_py_read_std(const char *name, PyObject *value, an_py_arguments *out)
{
    if (value == Py_None)
        return 0;
    if (!PyUnicode_Check(value)) {
        out->options.deviation = LIBAN_DEVIATION_GIVEN;
        if (read_triple(name, value, out->options.deviation_given) < 0)
            return -1;
        return check_triple(name, value, out->options.deviation_given, true);
    }
    const char *text;
    if (an_py_value_text(name, value, &text) < 0)
        return -1;
    out->options.deviation = LIBAN_DEVIATION_DATASET;
    if (!strcmp(text, "dataset"))
        return 0;
    PyErr_Format(PyExc_ValueError, "%s is %R: it must be a number, three numbers, \"dataset\" or None", name, value);
    return -1;
}

int an_py_read_indices(const char *name, PyObject *value, an_py_arguments *out)
{
    if (value == Py_None)
        return 0;
    if (an_py_numbers_whole(value, name, &out->indices, &out->options.index_count) < 0)
        return -1;
    out->options.indices = out->indices;
    if (out->options.index_count)
        return 0;
    PyErr_Format(PyExc_ValueError, "%s is empty", name);
    return -1;
}

int an_py_read_weights(const char *name, PyObject *value, an_py_arguments *out)
{
    if (value == Py_None)
        return 0;
    if (an_py_numbers_real(value, name, &out->weights, &out->options.weight_count) < 0)
        return -1;
    out->options.weights = out->weights;
    double sum = 0;
    for (uint64_t i = 0; i < out->options.weight_count; i++) {
        if (!isfinite(out->weights[i]) || out->weights[i] < 0) {
            PyObject *number = PyFloat_FromDouble(out->weights[i]);
            if (number)
                PyErr_Format(PyExc_ValueError, "%s[%llu] is %R: 0 or more is needed, and finite", name,
                             (unsigned long long)i, number);
            Py_XDECREF(number);
            return -1;
        }
        sum += out->weights[i];
    }
    if (sum > 0)
        return 0;
    PyErr_Format(PyExc_ValueError, "%s has nothing above 0", name);
    return -1;
}

static int by_epoch(const void *one, const void *other)
{
    const liban_crop_change *a = one, *b = other;
    return (a->epoch > b->epoch) - (a->epoch < b->epoch);
}

/* An (epoch, crop) of the mapping's items. */
static int read_size(const char *name, PyObject *pair, liban_crop_change *out)
{
    PyObject *key = PySequence_GetItem(pair, 0), *value = PySequence_GetItem(pair, 1);
    uint64_t crop = 0;
    int failed = !key || !value;
    if (!failed)
        failed = an_py_value_whole(name, key, 0, UINT64_MAX, &out->epoch);
    if (!failed)
        failed = an_py_value_whole(name, value, 1, UINT32_MAX, &crop);
    out->crop = (uint32_t)crop;
    Py_XDECREF(key);
    Py_XDECREF(value);
    return failed ? -1 : 0;
}

int an_py_read_sizes(const char *name, PyObject *value, an_py_arguments *out)
{
    if (value == Py_None)
        return 0;
    PyObject *items = PyMapping_Check(value) && !PySequence_Check(value) ? PyMapping_Items(value) : NULL;
    if (!items) {
        PyErr_Format(PyExc_TypeError, "%s must be a mapping {epoch: crop} or None, not %R", name, value);
        return -1;
    }
    Py_ssize_t count = PyList_Size(items);
    int failed = 0;
    out->sizes = calloc((size_t)count + 1, sizeof *out->sizes);
    if (!out->sizes) {
        PyErr_NoMemory();
        failed = -1;
    }
    for (Py_ssize_t i = 0; !failed && i < count; i++)
        failed = read_size(name, PyList_GetItem(items, i), &out->sizes[i]);
    Py_DECREF(items);
    if (failed)
        return -1;
    qsort(out->sizes, (size_t)count, sizeof *out->sizes, by_epoch);
    out->options.crop_changes = out->sizes;
    out->options.crop_change_count = (size_t)count;
    return 0;
}

int an_py_read_engine(const char *name, PyObject *value, an_py_arguments *out)
{
    static const char *const engines[] = {"auto", "uring", "uring-direct", "pread", "mmap", NULL};
    int engine;
    if (an_py_value_choice(name, value, engines, &engine) < 0)
        return -1;
    out->options.engine = engines[engine];
    return 0;
}

int an_py_read_device(const char *name, PyObject *value, an_py_arguments *out)
{
    if (value == Py_None)
        return 0;
    const char *text;
    if (an_py_value_text(name, value, &text) < 0)
        return -1;
    out->options.device = strcmp(text, "cpu") ? text : NULL;
    return 0;
}
