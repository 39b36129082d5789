#include "python/src/dataset_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

static PyObject *class_text(const liban_dataset *dataset, uint32_t label, bool id)
{
    liban_class class;
    if (liban_dataset_class(dataset, label, &class)) {
        PyErr_Format(PyExc_SystemError, "label %lu has no class", (unsigned long)label);
        return NULL;
    }
    const char *text = id ? class.id : class.name;
    return an_py_text(text, strlen(text));
}

PyObject *an_py_dataset_class_texts(PyObject *self, bool ids)
{
    an_py_open *open = an_py_dataset_hold(self);
    if (!open)
        return NULL;
    const liban_dataset *dataset = an_py_dataset_of(open);
    uint32_t count = liban_dataset_class_count(dataset);
    PyObject *list = PyList_New(count);
    for (uint32_t label = 0; list && label < count; label++) {
        PyObject *text = class_text(dataset, label, ids);
        if (!text || PyList_SetItem(list, label, text) < 0)
            Py_CLEAR(list);
    }
    an_py_dataset_drop(open);
    return list;
}

static PyObject *triple(const double values[3])
{
    return Py_BuildValue("(ddd)", values[0], values[1], values[2]);
}

static PyObject *describe(PyObject *self, liban_dataset *dataset)
{
    liban_statistics statistics;
    liban_record first = {.codec = ""};
    char fingerprint[17];
    liban_dataset_statistics(dataset, &statistics);
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, liban_dataset_fingerprint(dataset));
    int rc = liban_dataset_record(dataset, 0, &first);
    if (rc)
        return an_py_raise(an_py_module_of(self), rc,
                           (an_py_place){.path = an_py_dataset_path(self), .has_record = true});
    const char *manifest = liban_dataset_manifest(dataset);
    const double(*vectors)[3] = statistics.eigenvector;
    return Py_BuildValue("{s:K,s:I,s:s,s:I,s:N,s:N,s:N,s:(NNN),s:s,s:N}", "count",
                         (unsigned long long)liban_dataset_count(dataset), "side",
                         (unsigned)liban_dataset_side(dataset), "codec", first.codec, "classes",
                         (unsigned)liban_dataset_class_count(dataset), "mean", triple(statistics.mean), "std",
                         triple(statistics.deviation), "eigenvalues", triple(statistics.eigenvalue), "eigenvectors",
                         triple(vectors[0]), triple(vectors[1]), triple(vectors[2]), "fingerprint", fingerprint,
                         "manifest", an_py_text(manifest, strlen(manifest)));
}

PyObject *an_py_dataset_info(PyObject *self, PyObject *unused)
{
    (void)unused;
    an_py_open *open = an_py_dataset_hold(self);
    if (!open)
        return NULL;
    PyObject *info = describe(self, an_py_dataset_of(open));
    an_py_dataset_drop(open);
    return info;
}
