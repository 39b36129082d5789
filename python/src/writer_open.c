/* Opening an an_loader.Writer: its arguments, and the classes that it is given. */
#include <errno.h>
#include <sys/stat.h>

#include "python/src/values/values.h"
#include "python/src/writer_private.h"

static int define(an_py_writer *self, uint32_t label, PyObject *id, PyObject *name)
{
    PyObject *id_bytes = an_py_value_bytes("classes", id);
    PyObject *name_bytes = id_bytes ? an_py_value_bytes("classes", name) : NULL;
    bool read = name_bytes;
    int rc = 0;
    if (read)
        rc = liban_writer_class(self->writer, label, PyBytes_AsString(id_bytes), PyBytes_AsString(name_bytes));
    Py_XDECREF(id_bytes);
    Py_XDECREF(name_bytes);
    if (rc)
        an_py_writer_fail(self, rc);
    return read && !rc ? 0 : -1;
}

/* What is given twice would be found only when the dataset is finished. */
static int check_twins(PyObject *ids)
{
    PyObject *set = PySet_New(ids);
    if (!set)
        return -1;
    bool twins = PySet_Size(set) != PyList_Size(ids);
    Py_DECREF(set);
    if (twins)
        PyErr_SetString(PyExc_ValueError, "classes holds an id twice: give each class its own");
    return twins ? -1 : 0;
}

static int define_all(an_py_writer *self, PyObject *ids, PyObject *names)
{
    Py_ssize_t count = PyList_Size(ids);
    if (count < 1 || count > AN_PY_LABEL_MAX + 1) {
        PyErr_Format(PyExc_ValueError, "classes has %zd entries: 1 to %d are possible", count, AN_PY_LABEL_MAX + 1);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        if (define(self, (uint32_t)i, PyList_GetItem(ids, i), PyList_GetItem(names, i)) < 0)
            return -1;
    self->label_max = (uint64_t)count - 1;
    return check_twins(ids);
}

/* A mapping from ids to names for people, or a list of ids. */
static int read_classes(an_py_writer *self, PyObject *classes)
{
    bool mapping = PyObject_HasAttrString(classes, "keys") && PyMapping_Check(classes);
    if (PyUnicode_Check(classes) || PyBytes_Check(classes) || !(mapping || PySequence_Check(classes))) {
        PyErr_Format(PyExc_TypeError, "classes must be a list of ids or a dict from ids to names, not %R", classes);
        return -1;
    }
    PyObject *ids = mapping ? PyMapping_Keys(classes) : PySequence_List(classes);
    PyObject *names = !ids ? NULL : mapping ? PyMapping_Values(classes) : Py_NewRef(ids);
    int rc = names ? define_all(self, ids, names) : -1;
    Py_XDECREF(ids);
    Py_XDECREF(names);
    return rc;
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

static int open_writer(an_py_writer *self, const char *path, const arguments *a)
{
    liban_writer_options options = LIBAN_WRITER_OPTIONS_INIT;
    PyObject *source = NULL;
    options.source = "an_loader.Writer";
    int rc = read_options(a, &options, &source);
    if (!rc) {
        Py_BEGIN_ALLOW_THREADS;
        rc = liban_writer_open(&self->writer, path, &options);
        Py_END_ALLOW_THREADS;
        if (rc)
            raise_open(self, rc, path);
    }
    Py_XDECREF(source);
    if (rc)
        return -1;
    return a->classes && a->classes != Py_None ? read_classes(self, a->classes) : 0;
}

static PyObject *path_bytes(PyObject *path)
{
    PyObject *bytes = NULL;
    if (PyUnicode_FSConverter(path, &bytes))
        return bytes;
    if (PyErr_ExceptionMatches(PyExc_TypeError))
        PyErr_Format(PyExc_TypeError, "path must be a path, not %R", path);
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
        if (!self->path || open_writer(self, PyBytes_AsString(bytes), &a) < 0)
            Py_CLEAR(self);
    }
    Py_DECREF(bytes);
    return (PyObject *)self;
}
