#include "python/src/dataset_private.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

struct an_py_open {
    atomic_size_t holders;
    liban_dataset *dataset;
};

typedef struct {
    PyObject_HEAD;
    pthread_mutex_t lock; /* of open, which close() drops */
    an_py_open *open;     /* held; NULL after close() */
    PyObject *path;       /* str */
    int64_t process;
} dataset_object;

liban_dataset *an_py_dataset_of(an_py_open *open)
{
    return open->dataset;
}

void an_py_dataset_drop(an_py_open *open)
{
    if (!open || atomic_fetch_sub(&open->holders, 1) > 1)
        return;
    liban_dataset_free(open->dataset);
    free(open);
}

an_py_open *an_py_dataset_hold(PyObject *object)
{
    dataset_object *self = (dataset_object *)object;
    if (an_py_check_process(self->process, "dataset") < 0)
        return NULL;
    pthread_mutex_lock(&self->lock);
    an_py_open *open = self->open;
    if (open)
        atomic_fetch_add(&open->holders, 1);
    pthread_mutex_unlock(&self->lock);
    if (!open)
        PyErr_SetString(PyExc_RuntimeError, "the dataset is closed");
    return open;
}

PyObject *an_py_dataset_path(PyObject *self)
{
    return ((dataset_object *)self)->path;
}

static void close_dataset(dataset_object *self)
{
    if (self->process != an_py_process())
        return; /* the lock may be held by a thread that this process does not have */
    pthread_mutex_lock(&self->lock);
    an_py_open *open = self->open;
    self->open = NULL;
    pthread_mutex_unlock(&self->lock);
    an_py_dataset_drop(open);
}

static void dataset_free(PyObject *object)
{
    dataset_object *self = (dataset_object *)object;
    close_dataset(self);
    pthread_mutex_destroy(&self->lock);
    Py_XDECREF(self->path);
    an_py_object_free(object);
}

/* Fill a new object; the names of failures are set. */
static int open_dataset(an_py_module *state, dataset_object *self, const char *path)
{
    liban_dataset *dataset = NULL;
    int rc;
    Py_BEGIN_ALLOW_THREADS;
    rc = liban_dataset_open(&dataset, path);
    Py_END_ALLOW_THREADS;
    if (rc) {
        an_py_raise(state, rc, (an_py_place){.path = self->path});
        return -1;
    }
    self->open = malloc(sizeof *self->open);
    if (!self->open) {
        liban_dataset_free(dataset);
        PyErr_NoMemory();
        return -1;
    }
    atomic_init(&self->open->holders, 1);
    self->open->dataset = dataset;
    return 0;
}

/* The argument as bytes that open(2) takes, and with what is wrong with it named. */
static PyObject *path_bytes(PyObject *path, const char *what)
{
    PyObject *bytes = NULL;
    if (PyUnicode_FSConverter(path, &bytes))
        return bytes;
    if (PyErr_ExceptionMatches(PyExc_TypeError))
        PyErr_Format(PyExc_TypeError, "%s must be a str, bytes or os.PathLike, not %R", what, path);
    else if (PyErr_ExceptionMatches(PyExc_ValueError))
        PyErr_Format(PyExc_ValueError, "%s is %R: a path holds no null bytes", what, path);
    return NULL;
}

PyObject *an_py_dataset_make(an_py_module *state, PyObject *path, const char *what)
{
    PyObject *bytes = path_bytes(path, what);
    if (!bytes)
        return NULL;
    dataset_object *self = an_py_object_make(state->dataset);
    if (self) {
        self->process = an_py_process();
        pthread_mutex_init(&self->lock, NULL);
        self->path = PyUnicode_DecodeFSDefault(PyBytes_AsString(bytes));
        if (!self->path || open_dataset(state, self, PyBytes_AsString(bytes)) < 0)
            Py_CLEAR(self);
    }
    Py_DECREF(bytes);
    return (PyObject *)self;
}

static PyObject *dataset_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    PyObject *path;
    char *names[] = {(char *)"path", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O:Dataset", names, &path))
        return NULL;
    return an_py_dataset_make(PyType_GetModuleState(type), path, "path");
}

static Py_ssize_t length(PyObject *self)
{
    an_py_open *open = an_py_dataset_hold(self);
    if (!open)
        return -1;
    uint64_t count = liban_dataset_count(open->dataset);
    an_py_dataset_drop(open);
    return (Py_ssize_t)count;
}

static PyObject *get_path(PyObject *self, void *unused)
{
    (void)unused;
    return Py_NewRef(an_py_dataset_path(self));
}

static PyObject *get_side(PyObject *self, void *unused)
{
    (void)unused;
    an_py_open *open = an_py_dataset_hold(self);
    if (!open)
        return NULL;
    uint32_t side = liban_dataset_side(open->dataset);
    an_py_dataset_drop(open);
    return PyLong_FromUnsignedLong(side);
}

static PyObject *get_classes(PyObject *self, void *unused)
{
    (void)unused;
    return an_py_dataset_class_texts(self, false);
}

static PyObject *get_class_ids(PyObject *self, void *unused)
{
    (void)unused;
    return an_py_dataset_class_texts(self, true);
}

static PyObject *get_names(PyObject *self, void *unused)
{
    (void)unused;
    return an_py_names_make(an_py_module_of(self), self);
}

static PyObject *dataset_close(PyObject *self, PyObject *unused)
{
    (void)unused;
    close_dataset((dataset_object *)self);
    return Py_NewRef(Py_None);
}

static PyObject *leave(PyObject *self, PyObject *args)
{
    (void)args;
    return dataset_close(self, NULL);
}

static PyObject *repr(PyObject *self)
{
    return PyUnicode_FromFormat("<an_loader.Dataset %R>", an_py_dataset_path(self));
}

static PyObject *no_pickle(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    PyErr_SetString(PyExc_TypeError, "a Dataset cannot be pickled, as it is an open file: pass its path, and open it "
                                     "again there");
    return NULL;
}

int an_py_dataset_add(PyObject *module, an_py_module *state)
{
    static PyGetSetDef members[] = {
        {"path", get_path, NULL, PyDoc_STR("As it was given."), NULL},
        {"side", get_side, NULL, PyDoc_STR("Pixels: every image is side x side."), NULL},
        {"classes", get_classes, NULL, PyDoc_STR("Names for people, by label."), NULL},
        {"class_ids", get_class_ids, NULL, PyDoc_STR("Names that the source used, by label: \"n01440764\"."), NULL},
        {"labels", an_py_dataset_labels, NULL,
         PyDoc_STR("(n,) int64: the labels of all records, without reading them."), NULL},
        {"names", get_names, NULL, PyDoc_STR("Each record's path in the source; read one by one."), NULL},
        {NULL, NULL, NULL, NULL, NULL},
    };
    static PyMethodDef methods[] = {
        {"encoded", an_py_dataset_encoded, METH_O,
         PyDoc_STR("encoded($self, index, /)\n--\n\nThe record's codec and its payload, as it is stored.")},
        {"info", an_py_dataset_info, METH_NOARGS,
         PyDoc_STR(
             "info($self)\n--\n\ncount, side, codec (of the first record), classes, mean and std (three numbers on "
             "the scale of\n0 to 255), eigenvalues, eigenvectors, fingerprint, manifest (JSON text).")},
        {"close", dataset_close, METH_NOARGS, PyDoc_STR("close($self)\n--\n\nLoaders of the dataset go on.")},
        {"__enter__", an_py_enter, METH_NOARGS, PyDoc_STR("__enter__($self)\n--\n\n")},
        {"__exit__", leave, METH_VARARGS, PyDoc_STR("__exit__($self, kind, value, trace, /)\n--\n\n")},
        AN_PY_NO_PICKLE(no_pickle),
        {NULL, NULL, 0, NULL},
    };
    static PyType_Slot slots[] = {
        AN_PY_DOC("Dataset(path)\n--\n\nA dataset: image by image. dataset[i] is the whole image, (side, side, 3) "
                  "uint8 RGB, and its label.\nAny number of threads may use it."),
        {Py_tp_new, dataset_new},
        {Py_tp_dealloc, dataset_free},
        {Py_tp_repr, repr},
        {Py_tp_getset, members},
        {Py_tp_methods, methods},
        {Py_mp_length, length},
        {Py_mp_subscript, an_py_dataset_subscript},
        {Py_tp_iter, PySeqIter_New},
        {Py_sq_item, an_py_item},
        {0, NULL},
    };
    static PyType_Spec spec = {"an_loader.Dataset", sizeof(dataset_object), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots};
    return an_py_type_add(module, &spec, &state->dataset);
}
