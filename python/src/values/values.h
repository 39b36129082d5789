/* Python values as C's. name: the argument's, for the TypeError or ValueError. Those of int return 0 or -1. */
#ifndef AN_PYTHON_SRC_VALUES_VALUES_H
#define AN_PYTHON_SRC_VALUES_VALUES_H

#include "python/src/values/python.h"

int an_py_value_whole(const char *name, PyObject *value, uint64_t least, uint64_t most, uint64_t *out);
int an_py_value_double(const char *name, PyObject *value, double *out);                        /* any */
int an_py_value_real(const char *name, PyObject *value, double low, double high, double *out); /* finite */
int an_py_value_bool(const char *name, PyObject *value, bool *out);
/* UTF-8 without a null character, which lives as long as value. */
int an_py_value_text(const char *name, PyObject *value, const char **out);
/* UTF-8, where surrogates stand for bytes that were none, as in names that this package gives. A new reference to bytes
 * without a null character, or NULL. */
PyObject *an_py_value_bytes(const char *name, PyObject *value);
/* The place of the text in choices, which ends with NULL. */
int an_py_value_choice(const char *name, PyObject *value, const char *const *choices, int *out);

#endif
