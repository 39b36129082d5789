/* The iterator of one epoch: waiting for batches. */
#include <stdio.h>

#include "python/src/dataset_private.h"
#include "python/src/loader_private.h"

typedef struct {
    PyObject_HEAD;
    PyObject *loader;
    uint64_t generation;
    bool finished; /* with the loader's turn */
} iterator_object;

PyObject *an_py_iterator_make(an_py_module *state, PyObject *loader, uint64_t generation)
{
    iterator_object *self = an_py_object_make(state->iterator);
    if (!self)
        return NULL;
    self->loader = Py_NewRef(loader);
    self->generation = generation;
    return (PyObject *)self;
}

static void iterator_free(PyObject *self)
{
    Py_XDECREF(((iterator_object *)self)->loader);
    an_py_object_free(self);
}

/* Whoever asks for batches has checked all arguments long ago, so LIBAN_EINVAL says that too many are lent. */
static PyObject *raise_next(an_py_loader *loader, int rc)
{
    char text[1024];
    an_py_place place = {.path = an_py_dataset_path(loader->dataset)};
    if (rc == LIBAN_INTERRUPTED) {
        PyErr_SetString(PyExc_RuntimeError,
                        atomic_load(&loader->closed) ? "the loader is closed" : "the loader was interrupted");
        return NULL;
    }
    snprintf(text, sizeof text, "%s", liban_error_message());
    place.has_record = !liban_loader_failed_record(loader->loader, &place.record);
    return an_py_raise_text(an_py_module_of((PyObject *)loader), rc == LIBAN_EINVAL ? LIBAN_EINTERNAL : rc, text,
                            place);
}

/* With the turn: whether the next batch may be asked for without letting the GIL go, which other threads might then
 * keep for longer than a batch takes. At an epoch's beginning and end liban may have to stop and start threads. */
static bool is_quick(const an_py_loader *loader)
{
    return loader->midway && !loader->at_end;
}

/* With the turn: note what liban answered. */
static void note(iterator_object *self, an_py_loader *loader, int rc, const liban_batch *batch)
{
    if (rc == LIBAN_END) {
        self->finished = true;
        loader->midway = false;
        loader->placed = false;
    } else if (!rc) {
        loader->epoch = batch->epoch;
        loader->midway = true;
        loader->at_end = batch->last;
        loader->placed = false;
    }
}

/* With the turn: LIBAN_AGAIN after a slice of time. */
static int wait_a_slice(iterator_object *self, an_py_loader *loader, liban_batch **out)
{
    int rc = is_quick(loader) ? liban_loader_next_within(loader->loader, out, 0) : LIBAN_AGAIN;
    if (rc == LIBAN_AGAIN) {
        Py_BEGIN_ALLOW_THREADS;
        rc = liban_loader_next_within(loader->loader, out, AN_PY_SLICE_NS);
        Py_END_ALLOW_THREADS;
    }
    note(self, loader, rc, *out);
    return rc;
}

/* Waits for the turn and a slice of time. *stale: the loader has gone elsewhere. -1 with an exception. Signals are
 * handled even if the batch is ready: a consumer in C, such as collections.deque(loader, maxlen=0), looks after none.
 */
static int try_next(iterator_object *self, an_py_loader *loader, liban_batch **out, bool *stale)
{
    if (PyErr_CheckSignals() < 0)
        return -1;
    if (an_py_loader_take_turn(loader) < 0)
        return -1;
    int rc = LIBAN_END;
    *stale = !self->finished && self->generation != loader->generation;
    if (!self->finished && !*stale)
        rc = wait_a_slice(self, loader, out);
    an_py_loader_give_turn(loader);
    if (rc < 0 || rc == LIBAN_INTERRUPTED) {
        raise_next(loader, rc);
        return -1;
    }
    return rc;
}

static PyObject *next(PyObject *object)
{
    iterator_object *self = (iterator_object *)object;
    an_py_loader *loader = (an_py_loader *)self->loader;
    liban_batch *batch = NULL;
    bool stale = false;
    int rc;
    do
        rc = try_next(self, loader, &batch, &stale);
    while (rc == LIBAN_AGAIN);
    if (stale)
        PyErr_SetString(PyExc_RuntimeError,
                        "the loader has begun another epoch or went elsewhere: this iterator ends here");
    if (rc)
        return NULL;
    return an_py_batch_make(an_py_module_of(object), batch, &loader->delivery);
}

static PyObject *no_pickle(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    PyErr_SetString(PyExc_TypeError, "an iterator of a Loader cannot be pickled: keep state_dict(), and load it into "
                                     "another Loader there");
    return NULL;
}

int an_py_iterator_add(PyObject *module, an_py_module *state)
{
    static PyMethodDef methods[] = {
        AN_PY_NO_PICKLE(no_pickle),
        {NULL, NULL, 0, NULL},
    };
    static PyType_Slot slots[] = {
        AN_PY_DOC("The batches of one epoch. Threads that share it get a batch each."),
        {Py_tp_dealloc, iterator_free},
        {Py_tp_iter, PyObject_SelfIter},
        {Py_tp_iternext, next},
        {Py_tp_methods, methods},
        {0, NULL},
    };
    static PyType_Spec spec = {"an_loader._Iterator", sizeof(iterator_object), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
                               slots};
    return an_py_type_add(module, &spec, &state->iterator);
}
