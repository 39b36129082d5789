/* Arrays of bytes, wherever they come from, and how each kind of object becomes one. */
#ifndef AN_PYTHON_SRC_VALUES_VIEW_PRIVATE_H
#define AN_PYTHON_SRC_VALUES_VIEW_PRIVATE_H

#include "python/src/values/image.h"

typedef struct {
    const uint8_t *data;
    int dimensions;                  /* 1 to 3 */
    Py_ssize_t shape[3], strides[3]; /* strides: bytes */
} an_py_view;

/* ValueError unless count is 1 to 3. */
int an_py_view_set_shape(an_py_view *view, int count, const int64_t *shape);
void an_py_view_set_strides(an_py_view *view, const Py_ssize_t *strides); /* NULL: without gaps */
/* The image that a view is: a file's bytes with one dimension, pixels with more. What keeps the memory alive is in out
 * already. */
int an_py_view_take(const an_py_view *view, an_py_image *out);
int an_py_view_refuse_elements(const char *found); /* TypeError: they are not uint8 */

/* What these leave in an image belongs to it, also after a failure. */
int an_py_image_read_pil(PyObject *object, an_py_image *out);
int an_py_image_read_dlpack(PyObject *object, an_py_image *out);
int an_py_image_read_interface(PyObject *object, an_py_image *out); /* __array_interface__ */

bool an_py_image_is_pil(PyObject *object);

#endif
