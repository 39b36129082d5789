/* Arrays of other libraries that do not speak the buffer protocol. */
#include <string.h>

#include "python/src/values/dlpack.h"
#include "python/src/values/values.h"
#include "python/src/values/view_private.h"

/* ---- DLPack ----------------------------------------------------------------------------------------------------- */

/* Producers of before DLPack 1.0 do not know the argument. */
static PyObject *ask_capsule(PyObject *object)
{
    PyObject *method = PyObject_GetAttrString(object, "__dlpack__"), *none = PyTuple_New(0), *capsule = NULL;
    PyObject *version = Py_BuildValue("{s:(ii)}", "max_version", DL_VERSION_MAJOR, DL_VERSION_MINOR);
    if (method && none && version)
        capsule = PyObject_Call(method, none, version);
    if (!capsule && method && PyErr_ExceptionMatches(PyExc_TypeError)) {
        PyErr_Clear();
        capsule = PyObject_Call(method, none, NULL);
    }
    Py_XDECREF(version);
    Py_XDECREF(none);
    Py_XDECREF(method);
    return capsule;
}

/* The capsule keeps its name and so goes on owning the tensor, which is only read. */
static const dl_tensor *open_capsule(PyObject *capsule)
{
    if (PyCapsule_IsValid(capsule, "dltensor"))
        return &((dl_managed *)PyCapsule_GetPointer(capsule, "dltensor"))->tensor;
    if (!PyCapsule_IsValid(capsule, "dltensor_versioned")) {
        PyErr_SetString(PyExc_TypeError, "image has a __dlpack__ that gives no tensor");
        return NULL;
    }
    const dl_managed_versioned *managed = PyCapsule_GetPointer(capsule, "dltensor_versioned");
    if (managed->version.major == DL_VERSION_MAJOR)
        return &managed->tensor;
    PyErr_Format(PyExc_ValueError, "image speaks DLPack %u, this package %d", managed->version.major, DL_VERSION_MAJOR);
    return NULL;
}

static int read_tensor(const dl_tensor *t, an_py_image *out)
{
    enum { PINNED = 3 }; /* memory of the host, for CUDA */
    an_py_view v = {0};
    Py_ssize_t strides[3];
    if (t->device.kind != DL_CPU && t->device.kind != PINNED) {
        PyErr_SetString(PyExc_ValueError, "image lies on a device: copy it to the host first, with .cpu() for example");
        return -1;
    }
    if (t->type.kind != DL_UINT || t->type.bits != 8 || t->type.lanes != 1)
        return an_py_view_refuse_elements("of another type");
    if (an_py_view_set_shape(&v, t->dimensions, t->shape) < 0)
        return -1;
    for (int i = 0; t->strides && i < v.dimensions; i++)
        strides[i] = (Py_ssize_t)t->strides[i]; /* elements are bytes */
    v.data = (const uint8_t *)t->data + t->byte_offset;
    an_py_view_set_strides(&v, t->strides ? strides : NULL);
    return an_py_view_take(&v, out);
}

int an_py_image_read_dlpack(PyObject *object, an_py_image *out)
{
    out->kept = ask_capsule(object);
    if (!out->kept)
        return -1;
    const dl_tensor *tensor = open_capsule(out->kept);
    return tensor ? read_tensor(tensor, out) : -1;
}

/* ---- __array_interface__ ---------------------------------------------------------------------------------------- */

/* A tuple of at most three numbers; *count is their number, which may be more. */
static int read_numbers(PyObject *tuple, Py_ssize_t numbers[3], Py_ssize_t *count)
{
    *count = PyTuple_Check(tuple) ? PyTuple_Size(tuple) : -1;
    for (Py_ssize_t i = 0; i < *count && i < 3; i++) {
        numbers[i] = PyNumber_AsSsize_t(PyTuple_GetItem(tuple, i), PyExc_ValueError);
        if (numbers[i] == -1 && PyErr_Occurred())
            return -1;
    }
    if (*count >= 0)
        return 0;
    PyErr_SetString(PyExc_TypeError, "image has an __array_interface__ without a shape");
    return -1;
}

/* data: (address, whether it is read-only). All references are borrowed. */
static int read_interface(PyObject *type, PyObject *shape, PyObject *strides, PyObject *data, an_py_image *out)
{
    Py_ssize_t sizes[3] = {0}, steps[3] = {0}, count, steps_count;
    int64_t wide[3];
    an_py_view v = {0};
    const char *text = NULL;
    if (an_py_value_text("image's typestr", type, &text) < 0)
        return -1;
    if (strcmp(text + strspn(text, "|<>="), "u1") != 0)
        return an_py_view_refuse_elements(text);
    if (read_numbers(shape, sizes, &count) < 0)
        return -1;
    for (int i = 0; i < 3; i++)
        wide[i] = sizes[i];
    if (an_py_view_set_shape(&v, (int)(count > 4 ? 4 : count), wide) < 0)
        return -1;
    bool gapless = strides == Py_None;
    if (!gapless && (read_numbers(strides, steps, &steps_count) < 0 || steps_count != count)) {
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_ValueError, "image has an __array_interface__ whose strides do not fit its shape");
        return -1;
    }
    v.data = PyLong_AsVoidPtr(PyTuple_GetItem(data, 0));
    if (!v.data && PyErr_Occurred())
        return -1;
    an_py_view_set_strides(&v, gapless ? NULL : steps);
    return an_py_view_take(&v, out);
}

static PyObject *item(PyObject *dict, const char *key)
{
    PyObject *found = PyDict_GetItemString(dict, key);
    return found ? found : Py_None;
}

int an_py_image_read_interface(PyObject *object, an_py_image *out)
{
    out->kept = PyObject_GetAttrString(object, "__array_interface__");
    if (!out->kept)
        return -1;
    PyObject *data = PyDict_Check(out->kept) ? item(out->kept, "data") : Py_None;
    if (!PyTuple_Check(data) || PyTuple_Size(data) < 1) {
        PyErr_SetString(PyExc_TypeError, "image has an __array_interface__ without an address");
        return -1;
    }
    return read_interface(item(out->kept, "typestr"), item(out->kept, "shape"), item(out->kept, "strides"), data, out);
}
