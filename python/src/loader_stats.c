/* What a loader says of its work. */
#include "python/src/loader_private.h"

PyObject *an_py_loader_stats(PyObject *object, PyObject *unused)
{
    (void)unused;
    an_py_loader *self = (an_py_loader *)object;
    if (an_py_check_process(self->process, "loader") < 0)
        return NULL;
    liban_loader_stats s;
    liban_loader_stats_get(self->loader, &s);
    const struct {
        const char *name;
        uint64_t value;
    } rows[] = {
        {"batches", s.batches},
        {"samples", s.samples},
        {"bytes_read", s.bytes_read},
        {"consumer_wait_ns", s.consumer_wait_ns},
        {"worker_wait_read_ns", s.worker_wait_read_ns},
        {"worker_wait_slot_ns", s.worker_wait_slot_ns},
        {"worker_busy_ns", s.worker_busy_ns},
        {"reader_wait_ns", s.reader_wait_ns},
        {"reader_blocked_ns", s.reader_blocked_ns},
        {"elapsed_ns", s.elapsed_ns},
        {"threads", (uint64_t)s.threads},
        {"slots", (uint64_t)s.slots},
    };
    PyObject *dict = PyDict_New();
    for (size_t i = 0; dict && i < sizeof rows / sizeof *rows; i++) {
        PyObject *value = PyLong_FromUnsignedLongLong(rows[i].value);
        if (!value || PyDict_SetItemString(dict, rows[i].name, value) < 0)
            Py_CLEAR(dict);
        Py_XDECREF(value);
    }
    return dict;
}

PyObject *an_py_loader_verdict(PyObject *object, PyObject *unused)
{
    (void)unused;
    an_py_loader *self = (an_py_loader *)object;
    if (an_py_check_process(self->process, "loader") < 0)
        return NULL;
    char reason[512];
    const char *stage = liban_loader_verdict(self->loader, reason, sizeof reason);
    return Py_BuildValue("(ss)", stage, reason);
}
