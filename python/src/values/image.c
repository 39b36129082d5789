#include "python/src/values/image.h"

#include <stdlib.h>
#include <string.h>

#include "python/src/values/view_private.h"

static int refuse_type(PyObject *object)
{
    PyObject *name = PyType_GetName(Py_TYPE(object));
    if (name)
        PyErr_Format(PyExc_TypeError,
                     "image must be the bytes of a JPEG or PNG file, an array of uint8 or a PIL image, not %U", name);
    Py_XDECREF(name);
    return -1;
}

/* ---- the buffer protocol ---------------------------------------------------------------------------------------- */

/* Formats of struct; a byte order means nothing for bytes. */
static bool is_byte(const char *format)
{
    if (!format)
        return true;
    format += strspn(format, "@=<>!|");
    return strcmp(format, "B") == 0;
}

static int read_buffer(PyObject *object, an_py_image *out)
{
    int64_t shape[3] = {0};
    an_py_view v = {0};
    if (PyObject_GetBuffer(object, &out->buffer, PyBUF_RECORDS_RO) < 0)
        return -1;
    const Py_buffer *b = &out->buffer;
    if (!is_byte(b->format) && !(b->ndim == 1 && b->itemsize == 1)) /* "b" and "c" are bytes of a file, too */
        return an_py_view_refuse_elements(b->format);
    for (int i = 0; i < b->ndim && i < 3; i++)
        shape[i] = b->shape[i];
    if (an_py_view_set_shape(&v, b->ndim, shape) < 0)
        return -1;
    v.data = b->buf;
    an_py_view_set_strides(&v, b->strides);
    return an_py_view_take(&v, out);
}

int an_py_image_read(PyObject *object, an_py_image *out)
{
    static const struct {
        const char *attribute;
        int (*read)(PyObject *, an_py_image *);
    } ways[] = {{"__dlpack__", an_py_image_read_dlpack}, {"__array_interface__", an_py_image_read_interface}};
    int (*read)(PyObject *, an_py_image *) = NULL;
    memset(out, 0, sizeof *out);
    if (PyObject_CheckBuffer(object))
        read = read_buffer;
    else if (an_py_image_is_pil(object))
        read = an_py_image_read_pil;
    for (size_t i = 0; !read && i < sizeof ways / sizeof *ways; i++)
        if (PyObject_HasAttrString(object, ways[i].attribute))
            read = ways[i].read;
    if (!read)
        return refuse_type(object);
    int rc = read(object, out);
    if (rc < 0)
        an_py_image_clear(out);
    return rc;
}

void an_py_image_clear(an_py_image *image)
{
    if (image->buffer.obj)
        PyBuffer_Release(&image->buffer);
    Py_CLEAR(image->kept);
    free(image->copy);
    image->copy = NULL;
}
