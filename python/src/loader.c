#include "python/src/loader_private.h"

#include <string.h>

#include "python/src/dataset_private.h"
#include "python/src/device/device.h"

/* ---- making and freeing ----------------------------------------------------------------------------------------- */

/* The argument as a Dataset: the caller's own, or one that is opened here. */
static PyObject *take_dataset(an_py_module *state, PyObject *path)
{
    if (PyObject_TypeCheck(path, state->dataset))
        return Py_NewRef(path);
    return an_py_dataset_make(state, path, "path");
}

static int create(an_py_module *state, an_py_loader *self, liban_dataset *dataset, const an_py_arguments *arguments)
{
    int rc;
    bool found = false;
    if (an_py_arguments_check(arguments, liban_dataset_side(dataset)) < 0)
        return -1;
    if (arguments->options.device && an_py_device_find(&found) < 0)
        return -1;
    Py_BEGIN_ALLOW_THREADS;
    rc = liban_loader_create(&self->loader, dataset, &arguments->options);
    Py_END_ALLOW_THREADS;
    if (!rc)
        return 0;
    if (rc == LIBAN_EUNSUPPORTED && arguments->options.device && !found)
        PyErr_Format(PyExc_RuntimeError, "%s; the package an-loader-cuda13 brings it", liban_error_message());
    else
        (void)an_py_raise(state, rc, (an_py_place){.path = an_py_dataset_path(self->dataset)});
    return -1;
}

static int fill(an_py_module *state, an_py_loader *self, const an_py_arguments *arguments)
{
    self->dataset = take_dataset(state, arguments->path);
    if (!self->dataset)
        return -1;
    an_py_open *open = an_py_dataset_hold(self->dataset);
    if (!open)
        return -1;
    liban_dataset *dataset = an_py_dataset_of(open);
    self->batch_size = arguments->options.batch;
    self->delivery = (an_py_delivery){.labels = (an_py_labels)arguments->labels,
                                      .classes = liban_dataset_class_count(dataset),
                                      .return_index = arguments->return_index};
    int failed = create(state, self, dataset, arguments);
    an_py_dataset_drop(open);
    return failed;
}

static PyObject *loader_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    an_py_module *state = PyType_GetModuleState(type);
    an_py_arguments arguments;
    an_py_loader *self = NULL;
    if (!an_py_arguments_read(&arguments, args, kwargs))
        self = an_py_object_make(type);
    if (self) {
        self->process = an_py_process();
        an_py_turn_init(&self->turn);
        if (fill(state, self, &arguments) < 0)
            Py_CLEAR(self);
    }
    an_py_arguments_clear(&arguments);
    return (PyObject *)self;
}

/* Threads are joined, which may take as long as a record's decoding. */
static void loader_free(PyObject *object)
{
    an_py_loader *self = (an_py_loader *)object;
    Py_BEGIN_ALLOW_THREADS;
    liban_loader_free(self->loader);
    Py_END_ALLOW_THREADS;
    an_py_turn_destroy(&self->turn);
    Py_XDECREF(self->dataset);
    an_py_object_free(object);
}

/* ---- methods ---------------------------------------------------------------------------------------------------- */

static PyObject *loader_close(PyObject *object, PyObject *unused)
{
    (void)unused;
    an_py_loader *self = (an_py_loader *)object;
    atomic_store(&self->closed, true);
    Py_BEGIN_ALLOW_THREADS;
    liban_loader_close(self->loader);
    Py_END_ALLOW_THREADS;
    return Py_NewRef(Py_None);
}

static PyObject *loader_interrupt(PyObject *self, PyObject *unused)
{
    (void)unused;
    liban_loader_interrupt(((an_py_loader *)self)->loader);
    return Py_NewRef(Py_None);
}

static PyObject *loader_resume(PyObject *self, PyObject *unused)
{
    (void)unused;
    liban_loader_resume(((an_py_loader *)self)->loader);
    return Py_NewRef(Py_None);
}

static PyObject *leave(PyObject *self, PyObject *args)
{
    (void)args;
    return loader_close(self, NULL);
}

static Py_ssize_t length(PyObject *self)
{
    return (Py_ssize_t)liban_loader_steps(((an_py_loader *)self)->loader);
}

static PyObject *get_dataset(PyObject *self, void *unused)
{
    (void)unused;
    return Py_NewRef(((an_py_loader *)self)->dataset);
}

static PyObject *get_batch_size(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLong(((an_py_loader *)self)->batch_size);
}

static PyObject *get_note(PyObject *self, void *unused)
{
    (void)unused;
    const char *note = liban_loader_note(((an_py_loader *)self)->loader);
    return note ? an_py_text(note, strlen(note)) : Py_NewRef(Py_None);
}

static PyObject *repr(PyObject *object)
{
    an_py_loader *self = (an_py_loader *)object;
    return PyUnicode_FromFormat("<an_loader.Loader %R: %zd batches of %lu>", an_py_dataset_path(self->dataset),
                                length(object), (unsigned long)self->batch_size);
}

static PyObject *no_pickle(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    PyErr_SetString(PyExc_TypeError,
                    "a Loader cannot be pickled, as it owns threads and memory: pass its arguments, and "
                    "state_dict(), and make another one there");
    return NULL;
}

int an_py_loader_add(PyObject *module, an_py_module *state)
{
    static PyGetSetDef members[] = {
        {"dataset", get_dataset, NULL, PyDoc_STR("The Dataset that the batches are from."), NULL},
        {"batch_size", get_batch_size, NULL, PyDoc_STR("Samples of a whole batch."), NULL},
        {"note", get_note, NULL, PyDoc_STR("What the reader says about its engine, or None."), NULL},
        {NULL, NULL, NULL, NULL, NULL},
    };
    static PyMethodDef methods[] = {
        {"set_epoch", an_py_loader_set_epoch, METH_O,
         PyDoc_STR("set_epoch($self, epoch, /)\n--\n\nThe next iteration gives this epoch. Costs nothing if it comes "
                   "next anyway. The place that\nload_state_dict chose in this epoch is kept.")},
        {"state_dict", an_py_loader_state_dict, METH_NOARGS,
         PyDoc_STR("state_dict($self)\n--\n\nThe place behind the last batch that was delivered, as numbers and "
                   "strings: fit for JSON and pickle.\nposition counts samples of the epoch's global order, all ranks "
                   "together.")},
        {"load_state_dict", an_py_loader_load_state_dict, METH_O,
         PyDoc_STR("load_state_dict($self, state, /)\n--\n\nGo there: exact with another number of threads, another "
                   "batch size and another world. The next\niteration gives the rest of the state's epoch.")},
        {"stats", an_py_loader_stats, METH_NOARGS,
         PyDoc_STR("stats($self)\n--\n\nCounts, and where time went in nanoseconds, summed over the threads named.")},
        {"verdict", an_py_loader_verdict, METH_NOARGS,
         PyDoc_STR("verdict($self)\n--\n\nThe stage that is the limit, \"consumer\", \"decode\" or \"read\", and a "
                   "sentence with the reason.")},
        {"interrupt", loader_interrupt, METH_NOARGS,
         PyDoc_STR("interrupt($self)\n--\n\nEvery thread that waits for a batch, and every later one, gets a "
                   "RuntimeError, until resume().")},
        {"resume", loader_resume, METH_NOARGS,
         PyDoc_STR("resume($self)\n--\n\nGo on after interrupt(). No batch is lost.")},
        {"close", loader_close, METH_NOARGS,
         PyDoc_STR("close($self)\n--\n\nStop the threads. Batches, arrays and tensors stay valid.")},
        {"__enter__", an_py_enter, METH_NOARGS, PyDoc_STR("__enter__($self)\n--\n\n")},
        {"__exit__", leave, METH_VARARGS, PyDoc_STR("__exit__($self, kind, value, trace, /)\n--\n\n")},
        AN_PY_NO_PICKLE(no_pickle),
        {NULL, NULL, 0, NULL},
    };
    static PyType_Slot slots[] = {
        AN_PY_DOC(
            "Loader(path, batch_size, *, rank=0, world=1, seed=1, epoch=0, order='global', crop=224, resized=None, "
            "mirror=True, centre=False, mean=None, std=None, jitter=0.0, grey=False, mixup=0.0, cutmix=0.0, "
            "dtype='u8', "
            "layout='nchw', threads=0, slots=4, slots_max=64, indices=None, weights=None, last='drop', labels='i64', "
            "return_index=False, size_by_epoch=None, verify=True, engine='auto', device=None)\n--\n\n"
            "Batches of a dataset's images. Iterating gives one epoch; the next iteration gives the next epoch.\n\n"
            "path: the dataset's folder, or a Dataset. batch_size: samples of this rank's batches.\n"
            "rank, world: this process of how many; every rank gets the same number of batches.\n"
            "seed, epoch: everything random is a function of these and the record.\n"
            "order: \"global\" is a uniform permutation, \"block:K\" shuffles blocks of K neighbours, \"sequential\".\n"
            "crop: pixels of a sample's side, at a random place or, with centre, in the centre; resized: random "
            "resized\n"
            "crops that cover at least this share of the image's area; mirror: left to right, with probability 1/2.\n"
            "mean, std: value = (byte - mean) / std, each a number, three (RGB), or \"dataset\"; mean also \"pixel\".\n"
            "jitter: deviation of PCA colour jitter. grey: one channel. dtype: \"u8\", \"f32\", \"bf16\" or \"f16\".\n"
            "mixup, cutmix: alpha; drawn into batch.shares and batch.boxes, not applied.\n"
            "threads: that decode; 0: one for each processor. slots: batches in memory, up to slots_max while they are "
            "held.\n"
            "indices: numbers of the records that make an epoch; weights: one for each of them, then an epoch is that "
            "many\n"
            "draws with replacement. last: \"drop\" leaves an epoch's rest out, \"short\" deals it to all ranks alike, "
            "\"pad\"\nfills it up. labels: \"i64\", \"i32\", \"onehot\" (float32). size_by_epoch: {epoch: crop}, from "
            "that "
            "epoch on.\n"
            "device: \"cuda:0\" lets that device decode records of codec coef; the images are born there. Needs the "
            "package\nan-loader-cuda13."),
        {Py_tp_new, loader_new},
        {Py_tp_dealloc, loader_free},
        {Py_tp_repr, repr},
        {Py_tp_iter, an_py_loader_iter},
        {Py_tp_getset, members},
        {Py_tp_methods, methods},
        {Py_sq_length, length},
        {0, NULL},
    };
    static PyType_Spec spec = {"an_loader.Loader", sizeof(an_py_loader), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots};
    return an_py_type_add(module, &spec, &state->loader);
}
