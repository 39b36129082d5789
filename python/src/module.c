#include "python/src/module_private.h"

#include <string.h>

int an_py_type_add(PyObject *module, PyType_Spec *spec, PyTypeObject **out)
{
    PyTypeObject *type = (PyTypeObject *)PyType_FromModuleAndSpec(module, spec, NULL);
    if (!type)
        return -1;
    *out = type;
    const char *name = strrchr(spec->name, '.') + 1;
    return *name == '_' ? 0 : PyModule_AddType(module, type);
}

void an_py_object_free(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
    release(self);
    Py_DECREF(type);
}

void *an_py_object_make(PyTypeObject *type)
{
    allocfunc make = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    return make(type, 0);
}

PyObject *an_py_enter(PyObject *self, PyObject *unused)
{
    (void)unused;
    return Py_NewRef(self);
}

PyObject *an_py_item(PyObject *self, Py_ssize_t index)
{
    PyObject *number = PyLong_FromSsize_t(index);
    PyObject *item = number ? PyObject_GetItem(self, number) : NULL;
    Py_XDECREF(number);
    return item;
}

PyObject *an_py_text(const char *bytes, size_t size)
{
    return PyUnicode_DecodeUTF8(bytes, (Py_ssize_t)size, "surrogateescape");
}

static int add_error(PyObject *module, an_py_module *state)
{
    PyObject *members = Py_BuildValue("{s:O,s:O}", "path", Py_None, "record", Py_None);
    if (!members)
        return -1;
    state->dataset_error = PyErr_NewExceptionWithDoc(
        "an_loader.DatasetError",
        "A dataset is damaged. path is its folder; record is the number of the record, or None.", NULL, members);
    Py_DECREF(members);
    if (!state->dataset_error)
        return -1;
    return PyModule_AddObjectRef(module, "DatasetError", state->dataset_error);
}

static int fill(PyObject *module)
{
    static int (*const parts[])(PyObject *, an_py_module *) = {add_error,          an_py_array_add, an_py_batch_add,
                                                               an_py_dataset_add,  an_py_names_add, an_py_loader_add,
                                                               an_py_iterator_add, an_py_writer_add};
    an_py_module *state = PyModule_GetState(module);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        if (parts[i](module, state) < 0)
            return -1;
    return PyModule_AddStringConstant(module, "__version__", liban_version());
}

static int traverse(PyObject *module, visitproc visit, void *arg)
{
    an_py_module *state = PyModule_GetState(module);
    Py_VISIT(state->array);
    Py_VISIT(state->batch);
    Py_VISIT(state->dataset);
    Py_VISIT(state->names);
    Py_VISIT(state->loader);
    Py_VISIT(state->iterator);
    Py_VISIT(state->writer);
    Py_VISIT(state->dataset_error);
    return 0;
}

static int clear(PyObject *module)
{
    an_py_module *state = PyModule_GetState(module);
    Py_CLEAR(state->array);
    Py_CLEAR(state->batch);
    Py_CLEAR(state->dataset);
    Py_CLEAR(state->names);
    Py_CLEAR(state->loader);
    Py_CLEAR(state->iterator);
    Py_CLEAR(state->writer);
    Py_CLEAR(state->dataset_error);
    return 0;
}

static void release(void *module)
{
    (void)clear(module);
}

PyMODINIT_FUNC PyInit__native(void);

/* Each interpreter gets a module of its own. Interpreters with a lock of their own need a slot that the limited API of
 * 3.11 does not have; they refuse the import. */
PyMODINIT_FUNC PyInit__native(void)
{
    static PyModuleDef_Slot slots[] = {
        {Py_mod_exec, fill},
#ifdef Py_GIL_DISABLED
        {Py_mod_gil, Py_MOD_GIL_NOT_USED},
        {Py_mod_multiple_interpreters, Py_MOD_PER_INTERPRETER_GIL_SUPPORTED},
#endif
        {0, NULL},
    };
    static PyModuleDef definition = {
        .m_base = PyModuleDef_HEAD_INIT,
        .m_name = "an_loader._native",
        .m_doc = "What an_loader is made of; import that instead.",
        .m_size = sizeof(an_py_module),
        .m_slots = slots,
        .m_traverse = traverse,
        .m_clear = clear,
        .m_free = release,
    };
    return PyModuleDef_Init(&definition);
}
