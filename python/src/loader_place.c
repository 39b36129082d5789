/* Where a loader is: epochs, and states that are kept and loaded. */
#include <inttypes.h>
#include <stdio.h>

#include "python/src/dataset_private.h"
#include "python/src/loader_private.h"
#include "python/src/values/values.h"

static PyObject *raise_place(an_py_loader *self, int rc)
{
    return an_py_raise(an_py_module_of((PyObject *)self), rc, (an_py_place){.path = an_py_dataset_path(self->dataset)});
}

/* With the turn: begin that epoch. */
static int begin_epoch(an_py_loader *self, uint64_t epoch)
{
    int rc;
    Py_BEGIN_ALLOW_THREADS;
    rc = liban_loader_set_epoch(self->loader, epoch);
    Py_END_ALLOW_THREADS;
    if (rc)
        return rc;
    self->midway = false;
    self->placed = false;
    return 0;
}

/* The rest of an epoch that was left in its middle is dropped; a place that load_state_dict chose is kept. */
PyObject *an_py_loader_iter(PyObject *object)
{
    an_py_loader *self = (an_py_loader *)object;
    if (an_py_loader_take_turn(self) < 0)
        return NULL;
    int rc = self->midway ? begin_epoch(self, self->epoch + 1) : 0;
    uint64_t generation = ++self->generation;
    an_py_loader_give_turn(self);
    return rc ? raise_place(self, rc) : an_py_iterator_make(an_py_module_of(object), object, generation);
}

PyObject *an_py_loader_set_epoch(PyObject *object, PyObject *number)
{
    an_py_loader *self = (an_py_loader *)object;
    uint64_t epoch;
    if (an_py_value_whole("epoch", number, 0, UINT64_MAX, &epoch) < 0)
        return NULL;
    if (an_py_loader_take_turn(self) < 0)
        return NULL;
    int rc = self->placed && epoch == self->placed_epoch ? 0 : begin_epoch(self, epoch);
    self->generation++;
    an_py_loader_give_turn(self);
    return rc ? raise_place(self, rc) : Py_NewRef(Py_None);
}

enum { STATE_VERSION = 1 };

static PyObject *order_text(const liban_loader_state *state)
{
    if (state->order == LIBAN_ORDER_BLOCK)
        return PyUnicode_FromFormat("block:%llu", (unsigned long long)state->block);
    return PyUnicode_FromString(state->order == LIBAN_ORDER_GLOBAL ? "global" : "sequential");
}

static PyObject *dict_of(const liban_loader_state *state)
{
    char fingerprint[17], sampling[17];
    snprintf(fingerprint, sizeof fingerprint, "%016" PRIx64, state->fingerprint);
    snprintf(sampling, sizeof sampling, "%016" PRIx64, state->sampling);
    return Py_BuildValue("{s:i,s:N,s:K,s:K,s:K,s:K,s:s,s:s}", "version", STATE_VERSION, "order", order_text(state),
                         "seed", (unsigned long long)state->seed, "epoch", (unsigned long long)state->epoch, "position",
                         (unsigned long long)state->position, "records", (unsigned long long)state->records,
                         "fingerprint", fingerprint, "sampling", sampling);
}

PyObject *an_py_loader_state_dict(PyObject *object, PyObject *unused)
{
    (void)unused;
    an_py_loader *self = (an_py_loader *)object;
    if (an_py_check_process(self->process, "loader") < 0)
        return NULL;
    liban_loader_state state;
    liban_loader_state_get(self->loader, &state);
    return dict_of(&state);
}

/* A new reference, or NULL with an exception. */
static PyObject *value_of(PyObject *state, const char *key)
{
    PyObject *value = PyMapping_GetItemString(state, key);
    if (!value && PyErr_ExceptionMatches(PyExc_KeyError))
        PyErr_Format(PyExc_ValueError, "the state has no '%s'", key);
    return value;
}

static int read_place(PyObject *state, const char *key, uint64_t most, uint64_t *out)
{
    char name[32];
    PyObject *value = value_of(state, key);
    if (!value)
        return -1;
    snprintf(name, sizeof name, "the state's '%s'", key);
    int failed = an_py_value_whole(name, value, 0, most, out);
    Py_DECREF(value);
    return failed;
}

/* The same value in both. */
static int compare(PyObject *state, PyObject *own, const char *key)
{
    PyObject *theirs = value_of(state, key), *ours = theirs ? value_of(own, key) : NULL;
    int same = ours ? PyObject_RichCompareBool(theirs, ours, Py_EQ) : -1;
    if (same == 0)
        PyErr_Format(PyExc_ValueError, "the state's '%s' is %R, and this loader's %R: it belongs to other data", key,
                     theirs, ours);
    Py_XDECREF(theirs);
    Py_XDECREF(ours);
    return same == 1 ? 0 : -1;
}

static int check_data(PyObject *state, const liban_loader_state *own)
{
    static const char *const keys[] = {"version", "fingerprint", "records", "sampling", "order", "seed"};
    PyObject *ours = dict_of(own);
    int failed = ours ? 0 : -1;
    for (size_t i = 0; !failed && i < sizeof keys / sizeof *keys; i++)
        failed = compare(state, ours, keys[i]);
    Py_XDECREF(ours);
    return failed;
}

/* With the turn. */
static int go_to(an_py_loader *self, const liban_loader_state *state)
{
    int rc;
    Py_BEGIN_ALLOW_THREADS;
    rc = liban_loader_state_set(self->loader, state);
    Py_END_ALLOW_THREADS;
    if (rc)
        return rc;
    self->midway = false;
    self->placed = true;
    self->placed_epoch = state->epoch;
    self->generation++;
    return 0;
}

PyObject *an_py_loader_load_state_dict(PyObject *object, PyObject *dict)
{
    an_py_loader *self = (an_py_loader *)object;
    liban_loader_state state;
    if (an_py_check_process(self->process, "loader") < 0)
        return NULL;
    if (!PyMapping_Check(dict) || PySequence_Check(dict) > PyDict_Check(dict)) {
        PyErr_Format(PyExc_TypeError, "state must be a mapping that state_dict() made, not %R", dict);
        return NULL;
    }
    liban_loader_state_get(self->loader, &state);
    if (check_data(dict, &state) < 0)
        return NULL;
    if (read_place(dict, "epoch", UINT64_MAX, &state.epoch) < 0)
        return NULL;
    if (read_place(dict, "position", state.records, &state.position) < 0)
        return NULL;
    if (an_py_loader_take_turn(self) < 0)
        return NULL;
    int rc = go_to(self, &state);
    an_py_loader_give_turn(self);
    return rc ? raise_place(self, rc) : Py_NewRef(Py_None);
}
