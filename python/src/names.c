/* Dataset.names: a sequence that reads each name when it is asked for, since a million names as a list would take a
 * hundred megabytes. */
#include "python/src/dataset_private.h"

typedef struct {
    PyObject_HEAD;
    PyObject *dataset;
} names_object;

PyObject *an_py_names_make(an_py_module *state, PyObject *dataset)
{
    names_object *self = an_py_object_make(state->names);
    if (self)
        self->dataset = Py_NewRef(dataset);
    return (PyObject *)self;
}

static void names_free(PyObject *self)
{
    Py_XDECREF(((names_object *)self)->dataset);
    an_py_object_free(self);
}

static Py_ssize_t length(PyObject *self)
{
    return PyObject_Size(((names_object *)self)->dataset);
}

static PyObject *name_at(PyObject *self, liban_dataset *dataset, uint64_t index)
{
    liban_record record;
    int rc = liban_dataset_record(dataset, index, &record);
    if (!rc)
        return an_py_text(record.name, record.name_length);
    PyObject *path = an_py_dataset_path(((names_object *)self)->dataset);
    return an_py_raise(an_py_module_of(self), rc, (an_py_place){.path = path, .record = index, .has_record = true});
}

static PyObject *names_slice(PyObject *self, liban_dataset *dataset, PyObject *slice)
{
    Py_ssize_t start, stop, step;
    if (PySlice_Unpack(slice, &start, &stop, &step) < 0)
        return NULL;
    Py_ssize_t count = PySlice_AdjustIndices((Py_ssize_t)liban_dataset_count(dataset), &start, &stop, step);
    PyObject *list = PyList_New(count);
    for (Py_ssize_t i = 0; list && i < count; i++) {
        PyObject *name = name_at(self, dataset, (uint64_t)(start + i * step));
        if (!name || PyList_SetItem(list, i, name) < 0)
            Py_CLEAR(list);
    }
    return list;
}

static PyObject *subscript(PyObject *self, PyObject *which)
{
    an_py_open *open = an_py_dataset_hold(((names_object *)self)->dataset);
    if (!open)
        return NULL;
    liban_dataset *dataset = an_py_dataset_of(open);
    uint64_t index;
    PyObject *result = NULL;
    if (PySlice_Check(which))
        result = names_slice(self, dataset, which);
    else if (!an_py_dataset_index(which, liban_dataset_count(dataset), &index))
        result = name_at(self, dataset, index);
    an_py_dataset_drop(open);
    return result;
}

static PyObject *no_pickle(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    PyErr_SetString(PyExc_TypeError, "Names cannot be pickled, as they lie in an open file: pickle list(names)");
    return NULL;
}

int an_py_names_add(PyObject *module, an_py_module *state)
{
    static PyMethodDef methods[] = {
        AN_PY_NO_PICKLE(no_pickle),
        {NULL, NULL, 0, NULL},
    };
    static PyType_Slot slots[] = {
        AN_PY_DOC("Each record's path in the source, a sequence of str. A name is read when it is asked for; bytes of\n"
                  "it that are not UTF-8 become surrogates, as in os.fsdecode."),
        {Py_tp_dealloc, names_free},
        {Py_tp_iter, PySeqIter_New},
        {Py_tp_methods, methods},
        {Py_mp_length, length},
        {Py_mp_subscript, subscript},
        {Py_sq_item, an_py_item},
        {0, NULL},
    };
    static PyType_Spec spec = {"an_loader.Names", sizeof(names_object), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
                               slots};
    return an_py_type_add(module, &spec, &state->names);
}
