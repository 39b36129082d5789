/* Lists of numbers that Python gives: anything of one dimension with the buffer protocol (NumPy's arrays, array.array),
 * or anything that can be iterated. */
#ifndef AN_PYTHON_SRC_VALUES_NUMBERS_H
#define AN_PYTHON_SRC_VALUES_NUMBERS_H

#include "python/src/values/python.h"

/* Both give the caller memory for free(3). what: the argument's name, for messages. TypeError, ValueError. */
int an_py_numbers_whole(PyObject *object, const char *what, uint64_t **out, uint64_t *count); /* 0 or more each */
int an_py_numbers_real(PyObject *object, const char *what, double **out, uint64_t *count);

#endif
