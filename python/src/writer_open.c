/* Opening an an_loader.Writer: its arguments, and the classes that it is given. */
#include <errno.h>
#include <sys/stat.h>

#include "python/src/values/values.h"
#include "python/src/writer_private.h"

/* Lists of bytes, both of the same length; NULL: no classes were given. */
typedef struct {
    PyObject *ids, *names;
} classes;

static void classes_clear(classes *c)
{
    Py_CLEAR(c->ids);
    Py_CLEAR(c->names);
}

/* Texts become bytes. */
static int encode(PyObject *list)
{
    for (Py_ssize_t i = 0; i < PyList_Size(list); i++) {
        PyObject *bytes = an_py_value_bytes("classes", PyList_GetItem(list, i));
        if (!bytes || PyList_SetItem(list, i, bytes) < 0)
            return -1;
    }
    return 0;
}

static int check_ids(PyObject *ids)
{
    Py_ssize_t count = PyList_Size(ids);
    if (count < 1 || count > AN_PY_LABEL_MAX + 1) {
        PyErr_Format(PyExc_ValueError, "classes has %zd entries: 1 to %d are possible", count, AN_PY_LABEL_MAX + 1);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        if (!PyBytes_Size(PyList_GetItem(ids, i))) {
            PyErr_SetString(PyExc_ValueError, "classes holds an empty id");
            return -1;
        }
    PyObject *set = PySet_New(ids);
    if (!set)
        return -1;
    bool twins = PySet_Size(set) != count;
    Py_DECREF(set);
    if (twins)
        PyErr_SetString(PyExc_ValueError, "classes holds an id twice: give each class its own");
    return twins ? -1 : 0;
}

/* A mapping from ids to names for people, or a list of ids. */
static int read_classes(PyObject *value, classes *out)
{
    if (!value || value == Py_None)
        return 0;
    bool mapping = PyObject_HasAttrString(value, "keys") && PyMapping_Check(value);
    if (PyUnicode_Check(value) || PyBytes_Check(value) || !(mapping || PySequence_Check(value))) {
        PyErr_Format(PyExc_TypeError, "classes must be a list of ids or a dict from ids to names, not %R", value);
        return -1;
    }
    out->ids = mapping ? PyMapping_Keys(value) : PySequence_List(value);
    out->names = out->ids && mapping ? PyMapping_Values(value) : Py_XNewRef(out->ids);
    if (!out->names || encode(out->ids) < 0)
        return -1;
    if (mapping && encode(out->names) < 0)
        return -1;
    return check_ids(out->ids);
}

static int define(an_py_writer *self, const classes *c)
{
    Py_ssize_t count = c->ids ? PyList_Size(c->ids) : 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        int rc = liban_writer_class(self->writer, (uint32_t)i, PyBytes_AsString(PyList_GetItem(c->ids, i)),
                                    PyBytes_AsString(PyList_GetItem(c->names, i)));
        if (rc) {
            an_py_writer_fail(self, rc);
            return -1;
        }
    }
    if (count)
        self->label_max = (uint64_t)count - 1;
    return 0;
}

static int read_subsampling(PyObject *value, int *out)
{
    uint64_t number;
    if (an_py_value_whole("subsampling", value, 0, INT32_MAX, &number) < 0)
        return -1;
    *out = (int)number;
    if (number == 420 || number == 422 || number == 444)
        return 0;
    PyErr_Format(PyExc_ValueError, "subsampling is %d: it must be 420, 422 or 444", *out);
    return -1;
}

typedef struct {
    PyObject *path, *size, *codec, *quality, *subsampling, *classes, *source;
} arguments;

/* source_bytes: owns the text that options point to. */
static int read_options(const arguments *a, liban_writer_options *out, PyObject **source_bytes)
{
    static const char *const codecs[] = {"jpeg", "coef", "yuv420", "rgb", NULL};
    uint64_t number;
    int codec;
    if (a->size) {
        if (an_py_value_whole("size", a->size, 8, 4096, &number) < 0)
            return -1;
        out->side = (uint32_t)number;
    }
    if (a->quality) {
        if (an_py_value_whole("quality", a->quality, 1, 100, &number) < 0)
            return -1;
        out->quality = (int)number;
    }
    if (a->codec) {
        if (an_py_value_choice("codec", a->codec, codecs, &codec) < 0)
            return -1;
        out->codec = codecs[codec];
    }
    if (a->subsampling && read_subsampling(a->subsampling, &out->subsampling) < 0)
        return -1;
    if (!a->source || a->source == Py_None)
        return 0;
    *source_bytes = an_py_value_bytes("source", a->source);
    out->source = *source_bytes ? PyBytes_AsString(*source_bytes) : NULL;
    return *source_bytes ? 0 : -1;
}

/* A path that exists is one more OSError about a path. */
static void raise_open(an_py_writer *self, int code, const char *path)
{
    struct stat info;
    if (code != LIBAN_EINVAL || lstat(path, &info)) {
        an_py_writer_fail(self, code);
        return;
    }
    PyObject *failure = PyObject_CallFunction(PyExc_OSError, "isO", EEXIST,
                                              "exists already: remove it or choose another path", self->path);
    if (failure)
        PyErr_SetObject((PyObject *)Py_TYPE(failure), failure);
    Py_XDECREF(failure);
}

static int open_writer(an_py_writer *self, const char *path, const liban_writer_options *options)
{
    int rc;
    Py_BEGIN_ALLOW_THREADS;
    rc = liban_writer_open(&self->writer, path, options);
    Py_END_ALLOW_THREADS;
    if (rc)
        raise_open(self, rc, path);
    return rc ? -1 : 0;
}

/* Everything is checked before anything is written. */
static int start(an_py_writer *self, const char *path, const arguments *a)
{
    liban_writer_options options = LIBAN_WRITER_OPTIONS_INIT;
    PyObject *source = NULL;
    classes given = {0};
    options.source = "an_loader.Writer";
    int rc = read_options(a, &options, &source);
    if (!rc)
        rc = read_classes(a->classes, &given);
    if (!rc)
        rc = open_writer(self, path, &options);
    if (!rc)
        rc = define(self, &given);
    classes_clear(&given);
    Py_XDECREF(source);
    return rc;
}

static PyObject *path_bytes(PyObject *path)
{
    PyObject *bytes = NULL;
    if (PyUnicode_FSConverter(path, &bytes))
        return bytes;
    if (PyErr_ExceptionMatches(PyExc_TypeError))
        PyErr_Format(PyExc_TypeError, "path must be a path, not %R", path);
    else if (PyErr_ExceptionMatches(PyExc_ValueError))
        PyErr_Format(PyExc_ValueError, "path is %R: a path holds no null bytes", path);
    return NULL;
}

PyObject *an_py_writer_new(PyTypeObject *type, PyObject *args, PyObject *kwargs)
{
    arguments a = {0};
    char *names[] = {(char *)"path",        (char *)"size",    (char *)"codec",  (char *)"quality",
                     (char *)"subsampling", (char *)"classes", (char *)"source", NULL};
    if (!PyArg_ParseTupleAndKeywords(args, kwargs, "O|$OOOOOO:Writer", names, &a.path, &a.size, &a.codec, &a.quality,
                                     &a.subsampling, &a.classes, &a.source))
        return NULL;
    PyObject *bytes = path_bytes(a.path);
    if (!bytes)
        return NULL;
    an_py_writer *self = an_py_object_make(type);
    if (self) {
        pthread_mutex_init(&self->lock, NULL);
        self->process = an_py_process();
        self->label_max = AN_PY_LABEL_MAX;
        self->path = PyUnicode_DecodeFSDefault(PyBytes_AsString(bytes));
        if (!self->path || start(self, PyBytes_AsString(bytes), &a) < 0)
            Py_CLEAR(self);
    }
    Py_DECREF(bytes);
    return (PyObject *)self;
}
