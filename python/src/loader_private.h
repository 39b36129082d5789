/* an_loader.Loader and its iterators.
 *
 * DESIGN. A loader goes through the epochs one after the other; an iterator is the permission to take batches of one of
 * them. It becomes stale when the loader goes elsewhere: by the next iter(), set_epoch or load_state_dict. Each of
 * these raises the loader's generation, and an iterator knows the generation that it belongs to.
 *
 * The turn. Threads that share an iterator take turns, because the end of an epoch must reach the iterator before
 * anyone asks for the next epoch's first batch. Whoever has the turn waits in liban for SLICE_NS at most
 * without the GIL, gives the turn back, and lets Python handle signals: a handler may use the loader. What iterators
 * and loader share is changed with the turn only.
 *
 * A fork has neither the threads of liban nor, perhaps, the thread that holds the turn; so every function looks at the
 * process before it takes the turn. */
#ifndef AN_PYTHON_SRC_LOADER_PRIVATE_H
#define AN_PYTHON_SRC_LOADER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "python/src/batch_private.h"

#include <an/loader.h>

enum { AN_PY_SLICE_NS = 50 * 1000 * 1000 };

typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t given;
    bool taken;
} an_py_turn;

typedef struct {
    PyObject_HEAD;
    liban_loader *loader; /* until the object goes, also after close() */
    PyObject *dataset;
    int64_t process;
    uint32_t batch_size;
    an_py_delivery delivery;
    atomic_bool closed;

    an_py_turn turn;
    /* With the turn. */
    uint64_t generation;
    uint64_t epoch; /* of the last batch that was delivered */
    bool midway;    /* a batch of that epoch was delivered, and nobody has seen its end */
    bool at_end;    /* that was the epoch's last batch */
    bool placed;    /* load_state_dict chose the place in placed_epoch, and nothing was delivered since */
    uint64_t placed_epoch;
} an_py_loader;

void an_py_turn_init(an_py_turn *turn);
void an_py_turn_destroy(an_py_turn *turn); /* nobody waits: who does holds the loader, in a fork too */
/* -1 with an exception if the loader is closed or belongs to another process, or a signal's handler raised. */
int an_py_loader_take_turn(an_py_loader *self);
void an_py_loader_give_turn(an_py_loader *self);

PyObject *an_py_iterator_make(an_py_module *state, PyObject *loader, uint64_t generation);

/* Methods. */
PyObject *an_py_loader_iter(PyObject *self);
PyObject *an_py_loader_set_epoch(PyObject *self, PyObject *epoch);
PyObject *an_py_loader_state_dict(PyObject *self, PyObject *unused);
PyObject *an_py_loader_load_state_dict(PyObject *self, PyObject *state);
PyObject *an_py_loader_stats(PyObject *self, PyObject *unused);
PyObject *an_py_loader_verdict(PyObject *self, PyObject *unused);

#endif
