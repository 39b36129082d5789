/* An image as Python gives it: the bytes of a file, or pixels by the buffer protocol, __array_interface__ or DLPack, or
 * a PIL image, which is known by what it can do. Nothing is copied but rows whose pixels do not lie side by side. */
#ifndef AN_PYTHON_SRC_VALUES_IMAGE_H
#define AN_PYTHON_SRC_VALUES_IMAGE_H

#include "python/src/values/python.h"

typedef struct {
    const uint8_t *data; /* belongs to what is kept below */
    bool encoded;
    size_t size;                      /* bytes of an encoded file */
    uint32_t width, height, channels; /* of pixels */
    size_t stride;                    /* bytes from row to row */
    /* What keeps the memory alive. */
    Py_buffer buffer;
    PyObject *kept;
    uint8_t *copy;
} an_py_image;

/* TypeError: object is no image; ValueError: an impossible one. Both name the argument `image`. Nothing is kept then.
 */
int an_py_image_read(PyObject *object, an_py_image *out);
void an_py_image_clear(an_py_image *image);

#endif
