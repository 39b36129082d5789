#include "python/src/array_private.h"

#include "python/src/values/dlpack.h"

/* long has 8 bytes here; NumPy calls it int64, whatever other types of 8 bytes there are. */
const an_py_dtype_row *an_py_dtype_get(an_py_dtype dtype)
{
    static const an_py_dtype_row rows[] = {
        [AN_PY_UINT8] = {"uint8", "B", 1, DL_UINT},          [AN_PY_FLOAT32] = {"float32", "f", 4, DL_FLOAT},
        [AN_PY_BFLOAT16] = {"bfloat16", NULL, 2, DL_BFLOAT}, [AN_PY_FLOAT16] = {"float16", "e", 2, DL_FLOAT},
        [AN_PY_INT64] = {"int64", "l", 8, DL_INT},           [AN_PY_INT32] = {"int32", "i", 4, DL_INT},
        [AN_PY_UINT16] = {"uint16", "H", 2, DL_UINT},
    };
    return &rows[dtype];
}

size_t an_py_array_size(const an_py_array *array)
{
    return (size_t)array->strides[0] * (size_t)array->form.shape[0];
}

PyObject *an_py_array_make(an_py_module *state, an_py_storage *storage, void *data, const an_py_form *form)
{
    an_py_array *self = an_py_object_make(state->array);
    if (!self)
        return NULL;
    self->storage = an_py_storage_hold(storage);
    self->data = data;
    self->form = *form;
    Py_ssize_t stride = an_py_dtype_get(form->dtype)->size;
    for (int i = form->dimensions - 1; i >= 0; i--) {
        self->strides[i] = stride;
        stride *= form->shape[i];
    }
    return (PyObject *)self;
}

PyObject *an_py_array_take(an_py_module *state, an_py_storage *storage, const an_py_form *form)
{
    if (!storage)
        return PyErr_NoMemory();
    PyObject *array = an_py_array_make(state, storage, an_py_storage_bytes(storage), form);
    an_py_storage_drop(storage);
    return array;
}

static void array_free(PyObject *self)
{
    an_py_storage_drop(((an_py_array *)self)->storage);
    an_py_object_free(self);
}

static PyObject *get_shape(PyObject *self, void *unused)
{
    (void)unused;
    const an_py_form *form = &((an_py_array *)self)->form;
    PyObject *shape = PyTuple_New(form->dimensions);
    for (int i = 0; shape && i < form->dimensions; i++) {
        PyObject *extent = PyLong_FromSsize_t(form->shape[i]);
        if (!extent || PyTuple_SetItem(shape, i, extent) < 0)
            Py_CLEAR(shape);
    }
    return shape;
}

static PyObject *get_dtype(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(an_py_dtype_get(((an_py_array *)self)->form.dtype)->name);
}

static PyObject *get_nbytes(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromSize_t(an_py_array_size((an_py_array *)self));
}

static PyObject *get_device(PyObject *self, void *unused)
{
    (void)unused;
    int device = ((an_py_array *)self)->form.device;
    return device < 0 ? PyUnicode_FromString("cpu") : PyUnicode_FromFormat("cuda:%d", device);
}

static Py_ssize_t length(PyObject *self)
{
    return ((an_py_array *)self)->form.shape[0];
}

static PyObject *repr(PyObject *self)
{
    PyObject *shape = get_shape(self, NULL), *device = get_device(self, NULL), *text = NULL;
    if (shape && device)
        text = PyUnicode_FromFormat("<an_loader.Array %S %s on %U>", shape,
                                    an_py_dtype_get(((an_py_array *)self)->form.dtype)->name, device);
    Py_XDECREF(shape);
    Py_XDECREF(device);
    return text;
}

static PyObject *no_pickle(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    PyErr_SetString(PyExc_TypeError, "an Array cannot be pickled, as it is memory of the loader: make a copy of it, "
                                     "such as numpy.array(array), and pickle that");
    return NULL;
}

/* NumPy asks for this only where the buffer protocol refuses. Without an answer it makes an array of one object. */
static PyObject *array(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    PyObject *view = PyMemoryView_FromObject(self);
    PyObject *first = view ? PyTuple_Pack(1, view) : NULL;
    PyObject *all = first ? PySequence_Concat(first, arguments) : NULL;
    PyObject *numpy = all ? PyImport_ImportModule("numpy") : NULL;
    PyObject *make = numpy ? PyObject_GetAttrString(numpy, "array") : NULL;
    PyObject *made = make ? PyObject_Call(make, all, keywords) : NULL;
    Py_XDECREF(make);
    Py_XDECREF(numpy);
    Py_XDECREF(all);
    Py_XDECREF(first);
    Py_XDECREF(view);
    return made;
}

/* Why the buffer protocol cannot give this array; NULL if it can. */
static const char *buffer_fault(const an_py_array *self, int flags)
{
    if (self->form.device >= 0)
        return "the array lies on a CUDA device: use DLPack, such as torch.from_dlpack";
    if (!an_py_dtype_get(self->form.dtype)->format)
        return "the buffer protocol has no bfloat16: use DLPack, such as torch.from_dlpack";
    if ((flags & PyBUF_WRITABLE) && !self->form.writable)
        return "the array is read-only";
    if ((flags & PyBUF_F_CONTIGUOUS) == PyBUF_F_CONTIGUOUS && self->form.dimensions > 1)
        return "the array's last index runs fastest, as in C";
    return NULL;
}

static int get_buffer(PyObject *object, Py_buffer *view, int flags)
{
    an_py_array *self = (an_py_array *)object;
    const char *fault = buffer_fault(self, flags);
    view->obj = NULL;
    if (fault) {
        PyErr_SetString(PyExc_BufferError, fault);
        return -1;
    }
    const an_py_dtype_row *dtype = an_py_dtype_get(self->form.dtype);
    bool shaped = (flags & PyBUF_ND) == PyBUF_ND, strided = (flags & PyBUF_STRIDES) == PyBUF_STRIDES;
    view->buf = self->data;
    view->len = (Py_ssize_t)an_py_array_size(self);
    view->itemsize = dtype->size;
    view->readonly = !self->form.writable;
    view->ndim = shaped ? self->form.dimensions : 1;
    view->format = (flags & PyBUF_FORMAT) ? (char *)dtype->format : NULL;
    view->shape = shaped ? self->form.shape : NULL;
    view->strides = strided ? self->strides : NULL;
    view->suboffsets = NULL;
    view->internal = NULL;
    view->obj = Py_NewRef(object);
    return 0;
}

int an_py_array_add(PyObject *module, an_py_module *state)
{
    static PyGetSetDef members[] = {
        {"shape", get_shape, NULL, PyDoc_STR("Elements along each dimension, a tuple."), NULL},
        {"dtype", get_dtype, NULL,
         PyDoc_STR("\"uint8\", \"float32\", \"bfloat16\", \"float16\", \"int64\", \"int32\" or \"uint16\"."), NULL},
        {"nbytes", get_nbytes, NULL, PyDoc_STR("Bytes of all elements."), NULL},
        {"device", get_device, NULL, PyDoc_STR("\"cpu\" or \"cuda:0\"."), NULL},
        {NULL, NULL, NULL, NULL, NULL},
    };
    static PyMethodDef methods[] = {
        {"__dlpack__", (PyCFunction)(void (*)(void))an_py_array_dlpack, METH_VARARGS | METH_KEYWORDS,
         PyDoc_STR(
             "__dlpack__($self, *, stream=None, max_version=None, dl_device=None, copy=None)\n--\n\n"
             "A capsule for consumers of DLPack, as the array API standard describes it. On a CUDA device the "
             "consumer's\nstream waits for the batch, and the batch's memory, once nobody holds it, for what the "
             "stream was given\nuntil then. stream: None or 1 is the default stream, 2 that of the thread, a greater "
             "number a cudaStream_t;\nwith -1 neither waits, and the consumer must be done before it lets go.")},
        {"__dlpack_device__", an_py_array_dlpack_device, METH_NOARGS,
         PyDoc_STR("__dlpack_device__($self)\n--\n\n(kind, number) of the device: (1, 0) is the CPU, (2, n) CUDA.")},
        {"__array__", (PyCFunction)(void (*)(void))array, METH_VARARGS | METH_KEYWORDS,
         PyDoc_STR("__array__($self, *arguments, **options)\n--\n\nnumpy.array of this memory, with these arguments; "
                   "BufferError where the buffer protocol\ncannot express it.")},
        AN_PY_NO_PICKLE(no_pickle),
        {NULL, NULL, 0, NULL},
    };
    static PyType_Slot slots[] = {
        AN_PY_DOC("One array of a batch or of a dataset, without a copy: DLPack and, on the host, the buffer protocol\n"
                  "(but for bfloat16, which that protocol cannot express). It keeps the memory alive; nothing\n"
                  "overwrites it while an Array, a tensor made of it, or its batch is held."),
        {Py_tp_dealloc, array_free},
        {Py_tp_repr, repr},
        {Py_tp_getset, members},
        {Py_tp_methods, methods},
        {Py_sq_length, length},
        {Py_bf_getbuffer, get_buffer},
        {0, NULL},
    };
    static PyType_Spec spec = {"an_loader.Array", sizeof(an_py_array), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
                               slots};
    return an_py_type_add(module, &spec, &state->array);
}
