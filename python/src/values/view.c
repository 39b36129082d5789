#include "python/src/values/view_private.h"

#include <stdlib.h>

int an_py_view_refuse_elements(const char *found)
{
    PyErr_Format(PyExc_TypeError, "image must be of uint8, but its elements are %s", found);
    return -1;
}

static int refuse_shape(const an_py_view *v)
{
    PyObject *shape = PyTuple_New(v->dimensions);
    for (int i = 0; shape && i < v->dimensions; i++) {
        PyObject *size = PyLong_FromSsize_t(v->shape[i]);
        if (!size || PyTuple_SetItem(shape, i, size) < 0)
            Py_CLEAR(shape);
    }
    bool planes = v->dimensions == 3 && (v->shape[0] == 3 || v->shape[0] == 1);
    if (shape)
        PyErr_Format(PyExc_ValueError,
                     "image has the shape %R: it must be (height, width, 3), (height, width, 1) or "
                     "(height, width)%s",
                     shape, planes ? "; permute(1, 2, 0) puts the colours last" : "");
    Py_XDECREF(shape);
    return -1;
}

void an_py_view_set_strides(an_py_view *v, const Py_ssize_t *strides)
{
    Py_ssize_t gapless = 1;
    for (int i = v->dimensions - 1; i >= 0; i--) {
        v->strides[i] = strides ? strides[i] : gapless;
        gapless = (Py_ssize_t)((size_t)gapless * (size_t)v->shape[i]); /* of an impossible shape: anything */
    }
}

static void gather(const an_py_view *v, Py_ssize_t channels, uint8_t *out)
{
    for (Py_ssize_t y = 0; y < v->shape[0]; y++)
        for (Py_ssize_t x = 0; x < v->shape[1]; x++)
            for (Py_ssize_t c = 0; c < channels; c++)
                *out++ = v->data[y * v->strides[0] + x * v->strides[1] + (c ? c * v->strides[2] : 0)];
}

/* Pixels that do not lie side by side, as in tensors whose dimensions were exchanged. */
static int copy_pixels(const an_py_view *v, an_py_image *out)
{
    size_t size;
    if (__builtin_mul_overflow((size_t)out->width * out->channels, out->height, &size)) {
        PyErr_NoMemory();
        return -1;
    }
    out->copy = malloc(size);
    if (!out->copy) {
        PyErr_NoMemory();
        return -1;
    }
    Py_BEGIN_ALLOW_THREADS;
    gather(v, out->channels, out->copy);
    Py_END_ALLOW_THREADS;
    out->data = out->copy;
    out->stride = (size_t)out->width * out->channels;
    return 0;
}

static int take_pixels(const an_py_view *v, an_py_image *out)
{
    Py_ssize_t channels = v->dimensions == 3 ? v->shape[2] : 1;
    if ((channels != 3 && channels != 1) || v->shape[0] < 1 || v->shape[1] < 1 || v->shape[0] > INT32_MAX ||
        v->shape[1] > INT32_MAX)
        return refuse_shape(v);
    out->height = (uint32_t)v->shape[0];
    out->width = (uint32_t)v->shape[1];
    out->channels = (uint32_t)channels;
    bool together = v->strides[1] == channels && (channels == 1 || v->strides[2] == 1);
    if (!together || v->strides[0] < channels * v->shape[1])
        return copy_pixels(v, out);
    out->data = v->data;
    out->stride = (size_t)v->strides[0];
    return 0;
}

int an_py_view_take(const an_py_view *v, an_py_image *out)
{
    if (v->dimensions == 2 || v->dimensions == 3)
        return take_pixels(v, out);
    if (v->dimensions != 1)
        return refuse_shape(v);
    if (v->strides[0] != 1 && v->shape[0] > 1) {
        PyErr_SetString(PyExc_ValueError, "image: the bytes of a file must lie side by side");
        return -1;
    }
    out->encoded = true;
    out->data = v->data;
    out->size = (size_t)v->shape[0];
    return 0;
}

int an_py_view_set_shape(an_py_view *v, int count, const int64_t *shape)
{
    if (count < 1 || count > 3) {
        PyErr_Format(PyExc_ValueError,
                     "image has %d dimensions: it must be (height, width, 3), (height, width, 1) or "
                     "(height, width)",
                     count);
        return -1;
    }
    v->dimensions = count;
    for (int i = 0; i < count; i++)
        v->shape[i] = (Py_ssize_t)shape[i];
    return 0;
}
