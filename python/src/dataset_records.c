#include "python/src/array_private.h"
#include "python/src/dataset_private.h"

int an_py_dataset_index(PyObject *number, uint64_t count, uint64_t *out)
{
    Py_ssize_t index = PyNumber_AsSsize_t(number, PyExc_IndexError);
    if (index == -1 && PyErr_Occurred())
        return -1;
    Py_ssize_t from_start = index < 0 ? index + (Py_ssize_t)count : index;
    if (from_start < 0 || from_start >= (Py_ssize_t)count) {
        PyErr_Format(PyExc_IndexError, "record %zd of a dataset with %llu", index, (unsigned long long)count);
        return -1;
    }
    *out = (uint64_t)from_start;
    return 0;
}

/* Failures of one record. */
static PyObject *raise_record(PyObject *self, int code, uint64_t record)
{
    return an_py_raise(an_py_module_of(self), code,
                       (an_py_place){.path = an_py_dataset_path(self), .record = record, .has_record = true});
}

/* (array, label) of record index. */
static PyObject *image_and_label(PyObject *self, liban_dataset *dataset, uint64_t index)
{
    Py_ssize_t side = liban_dataset_side(dataset);
    an_py_form form = {.dtype = AN_PY_UINT8, .dimensions = 3, .shape = {side, side, 3}, .writable = true, .device = -1};
    size_t size = (size_t)side * (size_t)side * 3;
    an_py_storage *storage = an_py_storage_alloc(size);
    PyObject *array = an_py_array_take(an_py_module_of(self), storage, &form);
    if (!array)
        return NULL;
    liban_record record;
    int rc;
    Py_BEGIN_ALLOW_THREADS;
    rc = liban_dataset_record(dataset, index, &record);
    if (!rc)
        rc = liban_dataset_pixels(dataset, index, ((an_py_array *)array)->data, size);
    Py_END_ALLOW_THREADS;
    if (!rc)
        return Py_BuildValue("(NI)", array, (unsigned)record.label);
    Py_DECREF(array);
    return raise_record(self, rc, index);
}

PyObject *an_py_dataset_subscript(PyObject *self, PyObject *number)
{
    an_py_open *open = an_py_dataset_hold(self);
    if (!open)
        return NULL;
    uint64_t index;
    PyObject *result = NULL;
    if (!an_py_dataset_index(number, liban_dataset_count(an_py_dataset_of(open)), &index))
        result = image_and_label(self, an_py_dataset_of(open), index);
    an_py_dataset_drop(open);
    return result;
}

PyObject *an_py_dataset_encoded(PyObject *self, PyObject *number)
{
    an_py_open *open = an_py_dataset_hold(self);
    if (!open)
        return NULL;
    uint64_t index;
    liban_record record;
    PyObject *result = NULL;
    if (!an_py_dataset_index(number, liban_dataset_count(an_py_dataset_of(open)), &index)) {
        int rc = liban_dataset_record(an_py_dataset_of(open), index, &record);
        result = rc ? raise_record(self, rc, index)
                    : Py_BuildValue("(sy#)", record.codec, record.payload, (Py_ssize_t)record.payload_size);
    }
    an_py_dataset_drop(open);
    return result;
}

PyObject *an_py_dataset_labels(PyObject *self, void *unused)
{
    (void)unused;
    an_py_open *open = an_py_dataset_hold(self);
    if (!open)
        return NULL;
    Py_ssize_t count = (Py_ssize_t)liban_dataset_count(an_py_dataset_of(open));
    an_py_form form = {.dtype = AN_PY_INT64, .dimensions = 1, .shape = {count}, .writable = true, .device = -1};
    an_py_storage *storage = an_py_storage_alloc((size_t)count * sizeof(int64_t));
    if (storage)
        liban_dataset_labels(an_py_dataset_of(open), an_py_storage_bytes(storage));
    an_py_dataset_drop(open);
    return an_py_array_take(an_py_module_of(self), storage, &form);
}
