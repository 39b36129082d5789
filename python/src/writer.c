/* an_loader.Writer. */
#include <string.h>

#include "python/src/dataset_private.h"
#include "python/src/values/image.h"
#include "python/src/values/values.h"
#include "python/src/writer_private.h"

/* A call of liban with an argument of its own; returns a code of liban. */
typedef int call(liban_writer *writer, void *argument);

enum { RAISED = -1000 }; /* no code of liban: an exception is set */

static PyObject *closed(void)
{
    PyErr_SetString(PyExc_RuntimeError, "the writer is finished or closed");
    return NULL;
}

PyObject *an_py_writer_fail(an_py_writer *self, int code)
{
    return an_py_raise(an_py_module_of((PyObject *)self), code, (an_py_place){.path = self->path});
}

/* Make the call without the GIL. Its code, or RAISED. */
static int run(an_py_writer *self, call *function, void *argument)
{
    int rc = 0;
    bool is_open;
    if (an_py_check_process(self->process, "writer") < 0)
        return RAISED;
    Py_BEGIN_ALLOW_THREADS;
    pthread_mutex_lock(&self->lock);
    is_open = self->writer != NULL;
    if (is_open)
        rc = function(self->writer, argument);
    pthread_mutex_unlock(&self->lock);
    Py_END_ALLOW_THREADS;
    if (!is_open)
        closed();
    return is_open ? rc : RAISED;
}

/* None, or the exception that belongs to a code. */
static PyObject *outcome(an_py_writer *self, int code)
{
    if (code == RAISED)
        return NULL;
    return code ? an_py_writer_fail(self, code) : Py_NewRef(Py_None);
}

/* ---- writing ---------------------------------------------------------------------------------------------------- */

typedef struct {
    const an_py_image *image;
    uint32_t label;
    const char *name; /* NULL: its number */
} addition;

static int add_image(liban_writer *writer, void *argument)
{
    const addition *a = argument;
    const an_py_image *i = a->image;
    if (i->encoded)
        return liban_writer_add_encoded(writer, i->data, i->size, a->label, a->name);
    return liban_writer_add_pixels(writer, i->data, i->width, i->height, i->channels, i->stride, a->label, a->name);
}

/* The image is at fault, not the dataset. */
static PyObject *refuse_image(void)
{
    const char *text = liban_error_message();
    PyObject *message = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
    if (message)
        PyErr_SetObject(PyExc_ValueError, message);
    Py_XDECREF(message);
    return NULL;
}

static PyObject *add_named(an_py_writer *self, PyObject *object, uint32_t label, const char *name)
{
    an_py_image image;
    if (an_py_image_read(object, &image) < 0)
        return NULL;
    int rc = run(self, add_image, &(addition){.image = &image, .label = label, .name = name});
    an_py_image_clear(&image);
    return rc == LIBAN_ECORRUPT || rc == LIBAN_EUNSUPPORTED ? refuse_image() : outcome(self, rc);
}

static PyObject *writer_add(PyObject *object, PyObject *args, PyObject *kwargs)
{
    an_py_writer *self = (an_py_writer *)object;
    PyObject *image, *label, *name = Py_None, *bytes = NULL;
    char *names[] = {(char *)"image", (char *)"label", (char *)"name", NULL};
    uint64_t number;
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|O:add", names, &image, &label, &name))
        return NULL;
    if (an_py_value_whole("label", label, 0, self->label_max, &number) < 0)
        return NULL;
    if (name != Py_None && !(bytes = an_py_value_bytes("name", name)))
        return NULL;
    PyObject *done = add_named(self, image, (uint32_t)number, bytes ? PyBytes_AsString(bytes) : NULL);
    Py_XDECREF(bytes);
    return done;
}

typedef struct {
    const char *name, *reason;
    uint64_t size;
} rejection;

static int reject_image(liban_writer *writer, void *argument)
{
    const rejection *r = argument;
    return liban_writer_reject(writer, r->name, r->reason, r->size);
}

static PyObject *writer_reject(PyObject *object, PyObject *args, PyObject *kwargs)
{
    an_py_writer *self = (an_py_writer *)object;
    PyObject *name, *reason, *size = NULL, *done = NULL;
    char *names[] = {(char *)"name", (char *)"reason", (char *)"size", NULL};
    rejection r = {0};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "OO|O:reject", names, &name, &reason, &size))
        return NULL;
    if (size && an_py_value_whole("size", size, 0, INT64_MAX, &r.size) < 0)
        return NULL;
    PyObject *name_bytes = an_py_value_bytes("name", name),
             *reason_bytes = name_bytes ? an_py_value_bytes("reason", reason) : NULL;
    if (reason_bytes) {
        r.name = PyBytes_AsString(name_bytes);
        r.reason = PyBytes_AsString(reason_bytes);
        done = outcome(self, run(self, reject_image, &r));
    }
    Py_XDECREF(name_bytes);
    Py_XDECREF(reason_bytes);
    return done;
}

static int commit(liban_writer *writer, void *unused)
{
    (void)unused;
    return liban_writer_commit(writer);
}

static PyObject *writer_commit(PyObject *object, PyObject *unused)
{
    (void)unused;
    an_py_writer *self = (an_py_writer *)object;
    return outcome(self, run(self, commit, NULL));
}

static int get_count(liban_writer *writer, void *out)
{
    *(uint64_t *)out = liban_writer_count(writer);
    return LIBAN_OK;
}

static int get_position(liban_writer *writer, void *out)
{
    *(uint64_t *)out = liban_writer_position(writer);
    return LIBAN_OK;
}

static Py_ssize_t length(PyObject *self)
{
    uint64_t count;
    return run((an_py_writer *)self, get_count, &count) ? -1 : (Py_ssize_t)count;
}

static PyObject *position(PyObject *self, void *unused)
{
    (void)unused;
    uint64_t number;
    return run((an_py_writer *)self, get_position, &number) ? NULL : PyLong_FromUnsignedLongLong(number);
}

static PyObject *get_path(PyObject *self, void *unused)
{
    (void)unused;
    return Py_NewRef(((an_py_writer *)self)->path);
}

/* ---- the end ---------------------------------------------------------------------------------------------------- */

/* Take the writer out of self; NULL if it is gone already. */
static liban_writer *take(an_py_writer *self)
{
    liban_writer *writer;
    Py_BEGIN_ALLOW_THREADS;
    pthread_mutex_lock(&self->lock);
    writer = self->writer;
    self->writer = NULL;
    pthread_mutex_unlock(&self->lock);
    Py_END_ALLOW_THREADS;
    return writer;
}

static int finish(an_py_writer *self, liban_writer *writer)
{
    int rc;
    Py_BEGIN_ALLOW_THREADS;
    rc = liban_writer_finish(writer);
    Py_END_ALLOW_THREADS;
    if (rc)
        an_py_writer_fail(self, rc);
    return rc ? -1 : 0;
}

static PyObject *writer_finish(PyObject *object, PyObject *unused)
{
    (void)unused;
    an_py_writer *self = (an_py_writer *)object;
    if (an_py_check_process(self->process, "writer") < 0)
        return NULL;
    liban_writer *writer = take(self);
    if (!writer)
        return closed();
    return finish(self, writer) < 0 ? NULL : an_py_dataset_make(an_py_module_of(object), self->path, "path");
}

/* keep: commit first what was added. A commit that fails changes nothing: what it would have kept is lost. */
static void close_writer(an_py_writer *self, bool keep)
{
    if (self->process != an_py_process())
        return; /* the lock may be held by a thread that this process does not have */
    liban_writer *writer = take(self);
    Py_BEGIN_ALLOW_THREADS;
    if (writer && keep)
        (void)liban_writer_commit(writer);
    liban_writer_close(writer);
    Py_END_ALLOW_THREADS;
}

static PyObject *writer_close(PyObject *self, PyObject *unused)
{
    (void)unused;
    close_writer((an_py_writer *)self, false);
    return Py_NewRef(Py_None);
}

static PyObject *leave(PyObject *object, PyObject *args)
{
    an_py_writer *self = (an_py_writer *)object;
    PyObject *kind, *value, *trace;
    if (!PyArg_ParseTuple(args, "OOO:__exit__", &kind, &value, &trace))
        return NULL;
    if (kind != Py_None)
        close_writer(self, true);
    else if (an_py_check_process(self->process, "writer") < 0)
        return NULL;
    liban_writer *writer = kind == Py_None ? take(self) : NULL; /* NULL: finished or closed by hand */
    return writer && finish(self, writer) < 0 ? NULL : Py_NewRef(Py_None);
}

static PyObject *repr(PyObject *self)
{
    return PyUnicode_FromFormat("<an_loader.Writer %R>", ((an_py_writer *)self)->path);
}

static PyObject *no_pickle(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    PyErr_SetString(PyExc_TypeError, "a Writer cannot be pickled, as it is an open file: one process writes a dataset");
    return NULL;
}

static void writer_free(PyObject *object)
{
    an_py_writer *self = (an_py_writer *)object;
    close_writer(self, false);
    pthread_mutex_destroy(&self->lock);
    Py_XDECREF(self->path);
    an_py_object_free(object);
}

int an_py_writer_add(PyObject *module, an_py_module *state)
{
    static PyGetSetDef members[] = {
        {"path", get_path, NULL, PyDoc_STR("As it was given."), NULL},
        {"position", position, NULL,
         PyDoc_STR("Images so far, added and rejected: where the source of an interrupted writer goes on."), NULL},
        {NULL, NULL, NULL, NULL, NULL},
    };
    static PyMethodDef methods[] = {
        {"add", (PyCFunction)(void *)writer_add, METH_VARARGS | METH_KEYWORDS,
         PyDoc_STR(
             "add($self, image, label, name=None)\n--\n\nimage: the bytes of a JPEG or PNG file; or (h, w, 3), "
             "(h, w, 1) or (h, w) uint8 by the buffer protocol, DLPack\nor __array_interface__; or a PIL image, as "
             "its convert(\"RGB\"). Bytes of a file that fit are kept as they are.\nlabel: 0 to 999,999, below "
             "len(classes) if they were given. name: its path in the source; its number if None.\nValueError if "
             "the image cannot be used: nothing is written then.")},
        {"reject", (PyCFunction)(void *)writer_reject, METH_VARARGS | METH_KEYWORDS,
         PyDoc_STR("reject($self, name, reason, size=0)\n--\n\nNote an image that was left out, for the dataset's "
                   "list of such. size: its bytes.")},
        {"commit", writer_commit, METH_NOARGS,
         PyDoc_STR("commit($self)\n--\n\nPut everything so far on the disk; this happens by itself, too, about every "
                   "quarter of a second.")},
        {"finish", writer_finish, METH_NOARGS,
         PyDoc_STR(
             "finish($self)\n--\n\nComplete the dataset, give it its name, and open it. After a failure, too, the "
             "writer is closed;\na Writer with the same arguments goes on.")},
        {"close", writer_close, METH_NOARGS,
         PyDoc_STR("close($self)\n--\n\nLeave it unfinished: a Writer with the same arguments goes on behind the last "
                   "commit.")},
        {"__enter__", an_py_enter, METH_NOARGS, PyDoc_STR("__enter__($self)\n--\n\n")},
        {"__exit__", leave, METH_VARARGS,
         PyDoc_STR("__exit__($self, kind, value, trace, /)\n--\n\nFinish; after an exception, commit and close.")},
        AN_PY_NO_PICKLE(no_pickle),
        {NULL, NULL, 0, NULL},
    };
    static PyType_Slot slots[] = {
        AN_PY_DOC(
            "Writer(path, *, size=256, codec='jpeg', quality=90, subsampling=420, classes=None, source=None)\n--\n\n"
            "Writes a dataset of size x size pixels, image by image. It grows in `path`.partial; the same call goes "
            "on after\nan interruption, and position says with which image. As a context manager it finishes at "
            "the end; on an\nexception it keeps what was added, to be gone on with. classes: ids in the order of "
            "labels, or a dict from\nids to names for people; without, labels are their own names. len(): images "
            "so far."),
        {Py_tp_new, an_py_writer_new},
        {Py_tp_dealloc, writer_free},
        {Py_tp_repr, repr},
        {Py_tp_getset, members},
        {Py_tp_methods, methods},
        {Py_mp_length, length},
        {0, NULL},
    };
    static PyType_Spec spec = {"an_loader.Writer", sizeof(an_py_writer), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_IMMUTABLETYPE, slots};
    return an_py_type_add(module, &spec, &state->writer);
}
