/* Python's C interface. Only its limited API of 3.11 is used, so that one binary serves every later version.
 * Free-threaded builds of Python have no limited API; for them the extension is compiled against one version. */
#ifndef AN_PYTHON_SRC_VALUES_PYTHON_H
#define AN_PYTHON_SRC_VALUES_PYTHON_H

#include <pyconfig.h>
#ifndef Py_GIL_DISABLED
#define Py_LIMITED_API 0x030B0000
#endif
#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>

#endif
