/* Array.__dlpack__. What a capsule owns holds the array's storage and nothing of Python's, so a consumer may call the
 * deleter from any thread, with or without the GIL, and after the interpreter has ended. */
#include "python/src/values/dlpack.h"

#include <stdlib.h>
#include <string.h>

#include "python/src/array_private.h"
#include "python/src/device/device.h"

typedef struct {
    union {
        dl_managed plain;
        dl_managed_versioned versioned;
    } tensor;
    int64_t shape[AN_PY_DIMENSIONS_MAX], strides[AN_PY_DIMENSIONS_MAX];
    an_py_storage *storage; /* held */
} exported;

static void drop(exported *e)
{
    an_py_storage_drop(e->storage);
    free(e);
}

static void delete_plain(dl_managed *self)
{
    drop(self->context);
}

static void delete_versioned(dl_managed_versioned *self)
{
    drop(self->context);
}

/* Capsules that no consumer took. */
static void discard_plain(PyObject *capsule)
{
    if (PyCapsule_IsValid(capsule, "dltensor"))
        delete_plain(PyCapsule_GetPointer(capsule, "dltensor"));
}

static void discard_versioned(PyObject *capsule)
{
    if (PyCapsule_IsValid(capsule, "dltensor_versioned"))
        delete_versioned(PyCapsule_GetPointer(capsule, "dltensor_versioned"));
}

static dl_device device_of(const an_py_form *form)
{
    return form->device < 0 ? (dl_device){DL_CPU, 0} : (dl_device){DL_CUDA, form->device};
}

/* Fill a tensor whose shape and strides lie in e. */
static void describe(exported *e, const an_py_array *array, void *data, dl_tensor *out)
{
    const an_py_dtype_row *dtype = an_py_dtype_get(array->form.dtype);
    for (int i = 0; i < array->form.dimensions; i++) {
        e->shape[i] = array->form.shape[i];
        e->strides[i] = array->strides[i] / dtype->size;
    }
    *out = (dl_tensor){.data = data,
                       .device = device_of(&array->form),
                       .dimensions = array->form.dimensions,
                       .type = {dtype->dl_kind, (uint8_t)(dtype->size * 8), 1},
                       .shape = e->shape,
                       .strides = e->strides};
}

static PyObject *wrap_plain(exported *e, const an_py_array *array, void *data)
{
    describe(e, array, data, &e->tensor.plain.tensor);
    e->tensor.plain.context = e;
    e->tensor.plain.deleter = delete_plain;
    return PyCapsule_New(&e->tensor.plain, "dltensor", discard_plain);
}

static PyObject *wrap_versioned(exported *e, const an_py_array *array, void *data, bool copied)
{
    dl_managed_versioned *tensor = &e->tensor.versioned;
    describe(e, array, data, &tensor->tensor);
    tensor->version = (dl_version){DL_VERSION_MAJOR, DL_VERSION_MINOR};
    tensor->context = e;
    tensor->deleter = delete_versioned;
    tensor->flags = copied ? DL_IS_COPIED : array->form.writable ? 0 : DL_READ_ONLY;
    return PyCapsule_New(tensor, "dltensor_versioned", discard_versioned);
}

/* The array's own storage, or one with a copy of its bytes; held by the caller. NULL if memory is out. */
static an_py_storage *storage_of(const an_py_array *array, bool copy)
{
    if (!copy)
        return an_py_storage_hold(array->storage);
    an_py_storage *storage = an_py_storage_alloc(an_py_array_size(array));
    if (storage)
        memcpy(an_py_storage_bytes(storage), array->data, an_py_array_size(array));
    return storage;
}

static PyObject *export(const an_py_array *array, bool versioned, bool copy)
{
    exported *e = calloc(1, sizeof *e);
    if (!e)
        return PyErr_NoMemory();
    e->storage = storage_of(array, copy);
    if (!e->storage) {
        free(e);
        return PyErr_NoMemory();
    }
    void *data = copy ? an_py_storage_bytes(e->storage) : array->data;
    PyObject *capsule = versioned ? wrap_versioned(e, array, data, copy) : wrap_plain(e, array, data);
    if (!capsule)
        drop(e);
    return capsule;
}

static int check_device(const an_py_form *form, PyObject *wanted)
{
    int kind, number;
    if (wanted == Py_None)
        return 0;
    if (!PyTuple_Check(wanted)) {
        PyErr_Format(PyExc_TypeError, "dl_device must be a tuple of two integers or None, not %R", wanted);
        return -1;
    }
    if (!PyArg_ParseTuple(wanted, "ii;dl_device must be a tuple of two integers or None", &kind, &number))
        return -1;
    dl_device own = device_of(form);
    if (kind == own.kind && number == own.number)
        return 0;
    PyErr_Format(PyExc_BufferError, "the array lies on device (%d, %d), and dl_device is (%d, %d): copy it there",
                 (int)own.kind, (int)own.number, kind, number);
    return -1;
}

/* Whether the consumer knows DLPack 1; -1 with an exception set. */
static int wants_versioned(PyObject *max_version)
{
    int major, minor;
    if (max_version == Py_None)
        return 0;
    if (!PyTuple_Check(max_version)) {
        PyErr_Format(PyExc_TypeError, "max_version must be a tuple of two integers or None, not %R", max_version);
        return -1;
    }
    if (!PyArg_ParseTuple(max_version, "ii;max_version must be a tuple of two integers or None", &major, &minor))
        return -1;
    return major >= DL_VERSION_MAJOR;
}

int an_py_storage_use(an_py_module *state, an_py_storage *storage, PyObject *value)
{
    bool use;
    void *stream;
    int rc;
    if (an_py_device_stream(value, &use, &stream) < 0)
        return -1;
    if (!use)
        return 0;
    Py_BEGIN_ALLOW_THREADS;
    rc = liban_batch_use(an_py_storage_batch(storage), stream);
    Py_END_ALLOW_THREADS;
    if (!rc)
        return 0;
    (void)an_py_raise(state, rc, (an_py_place){0});
    return -1;
}

/* The consumer's stream waits for the batch, and the batch's memory for the stream. On the host there is none. */
static int take_stream(const an_py_array *self, PyObject *stream)
{
    if (self->form.device >= 0)
        return an_py_storage_use(an_py_module_of((PyObject *)self), self->storage, stream);
    if (stream == Py_None)
        return 0;
    PyErr_Format(PyExc_ValueError, "stream must be None for an array on the CPU, not %R", stream);
    return -1;
}

PyObject *an_py_array_dlpack(PyObject *object, PyObject *args, PyObject *kwargs)
{
    an_py_array *self = (an_py_array *)object;
    PyObject *stream = Py_None, *max_version = Py_None, *device = Py_None, *copy = Py_None;
    char *names[] = {(char *)"stream", (char *)"max_version", (char *)"dl_device", (char *)"copy", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "|$OOOO:__dlpack__", names, &stream, &max_version, &device, &copy))
        return NULL;
    if (check_device(&self->form, device) < 0)
        return NULL;
    int versioned = wants_versioned(max_version);
    if (versioned < 0)
        return NULL;
    int copied = copy == Py_None ? 0 : PyObject_IsTrue(copy);
    if (copied < 0)
        return NULL;
    if (copied && self->form.device >= 0) {
        PyErr_SetString(PyExc_BufferError, "copy must not be True for an array on a CUDA device");
        return NULL;
    }
    if (take_stream(self, stream) < 0)
        return NULL;
    return export(self, versioned, copied);
}

PyObject *an_py_array_dlpack_device(PyObject *self, PyObject *unused)
{
    (void)unused;
    dl_device device = device_of(&((an_py_array *)self)->form);
    return Py_BuildValue("(ii)", (int)device.kind, (int)device.number);
}
