/* Images of PIL, which is not imported: they are known by what they can do. */
#include "python/src/values/view_private.h"

bool an_py_image_is_pil(PyObject *object)
{
    static const char *const members[] = {"mode", "size", "convert", "tobytes"};
    for (size_t i = 0; i < sizeof members / sizeof *members; i++)
        if (!PyObject_HasAttrString(object, members[i]))
            return false;
    return true;
}

/* PIL reads files when their pixels are asked for, and says OSError of damage: that is the image's fault. */
static void blame_image(void)
{
    PyObject *kind, *cause, *trace;
    if (!PyErr_ExceptionMatches(PyExc_OSError))
        return;
    PyErr_Fetch(&kind, &cause, &trace);
    PyErr_NormalizeException(&kind, &cause, &trace);
    PyErr_Format(PyExc_ValueError, "image cannot be used: %S", cause);
    Py_XDECREF(kind);
    Py_XDECREF(trace);
    PyObject *failure;
    PyErr_Fetch(&kind, &failure, &trace);
    PyErr_NormalizeException(&kind, &failure, &trace);
    PyException_SetCause(failure, cause); /* takes the reference */
    PyErr_Restore(kind, failure, trace);
}

/* The image with RGB or grey pixels, a new reference. */
static PyObject *to_rgb(PyObject *object, uint32_t *channels)
{
    PyObject *mode = PyObject_GetAttrString(object, "mode");
    if (!mode)
        return NULL;
    bool grey = PyUnicode_Check(mode) && PyUnicode_CompareWithASCIIString(mode, "L") == 0;
    bool rgb = PyUnicode_Check(mode) && PyUnicode_CompareWithASCIIString(mode, "RGB") == 0;
    Py_DECREF(mode);
    *channels = grey ? 1 : 3;
    return grey || rgb ? Py_NewRef(object) : PyObject_CallMethod(object, "convert", "s", "RGB");
}

static int read_pil_size(PyObject *image, an_py_view *v)
{
    PyObject *size = PyObject_GetAttrString(image, "size");
    if (!size)
        return -1;
    Py_ssize_t width, height;
    int parsed = PyTuple_Check(size) && PyArg_ParseTuple(size, "nn", &width, &height);
    Py_DECREF(size);
    if (!parsed) {
        PyErr_SetString(PyExc_TypeError, "image has a size that is no pair of numbers");
        return -1;
    }
    v->shape[0] = height;
    v->shape[1] = width;
    return 0;
}

static int read_pil_pixels(PyObject *image, Py_ssize_t channels, an_py_image *out)
{
    an_py_view v = {.dimensions = 3, .shape = {0, 0, channels}};
    if (read_pil_size(image, &v) < 0)
        return -1;
    out->kept = PyObject_CallMethod(image, "tobytes", NULL);
    if (!out->kept) {
        blame_image();
        return -1;
    }
    char *bytes;
    Py_ssize_t size, row, expected;
    if (PyBytes_AsStringAndSize(out->kept, &bytes, &size) < 0)
        return -1;
    if (__builtin_mul_overflow(v.shape[1], channels, &row) || __builtin_mul_overflow(row, v.shape[0], &expected) ||
        size != expected) {
        PyErr_SetString(PyExc_ValueError, "image gives another number of bytes than its size says");
        return -1;
    }
    v.data = (const uint8_t *)bytes;
    an_py_view_set_strides(&v, NULL);
    return an_py_view_take(&v, out);
}

int an_py_image_read_pil(PyObject *object, an_py_image *out)
{
    uint32_t channels;
    PyObject *image = to_rgb(object, &channels);
    if (!image) {
        blame_image();
        return -1;
    }
    int rc = read_pil_pixels(image, channels, out);
    Py_DECREF(image);
    return rc;
}
