#include "python/src/arguments/readers_private.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "python/src/values/values.h"

typedef enum { U64, U32, INT, REAL, BOOL, CHOICE, OBJECT, READER } kind;

/* An argument: its name, what it is, and where its value goes. */
typedef struct {
    const char *name;
    kind kind;
    size_t offset;        /* in an_py_arguments, of all kinds but READER */
    uint64_t least, most; /* of whole numbers */
    const char *const *choices;
    int (*read)(const char *name, PyObject *value, an_py_arguments *out);
} argument;

static const char *const dtypes[] = {
    [LIBAN_U8] = "u8", [LIBAN_F32] = "f32", [LIBAN_BF16] = "bf16", [LIBAN_F16] = "f16", NULL};
static const char *const layouts[] = {[LIBAN_NHWC] = "nhwc", [LIBAN_NCHW] = "nchw", NULL};
static const char *const lasts[] = {
    [LIBAN_LAST_DROP] = "drop", [LIBAN_LAST_SHORT] = "short", [LIBAN_LAST_PAD] = "pad", NULL};
static const char *const labels[] = {
    [AN_PY_LABELS_I64] = "i64", [AN_PY_LABELS_I32] = "i32", [AN_PY_LABELS_ONEHOT] = "onehot", NULL};

#define AT(member) .offset = offsetof(an_py_arguments, member)
#define OPTION(member) AT(options.member)

static const argument table[] = {
    {"path", OBJECT, AT(path)},
    {"batch_size", U32, OPTION(batch), .least = 1, .most = UINT32_MAX},
    {"rank", U32, OPTION(rank), .least = 0, .most = UINT32_MAX - 1},
    {"world", U32, OPTION(world), .least = 1, .most = UINT32_MAX},
    {"seed", U64, OPTION(seed), .least = 0, .most = UINT64_MAX},
    {"epoch", U64, OPTION(epoch), .least = 0, .most = UINT64_MAX},
    {"order", READER, .read = an_py_read_order},
    {"crop", U32, OPTION(crop), .least = 1, .most = UINT32_MAX},
    {"resized", READER, .read = an_py_read_resized},
    {"mirror", BOOL, OPTION(mirror)},
    {"centre", BOOL, OPTION(centre)},
    {"mean", READER, .read = an_py_read_mean},
    {"std", READER, .read = an_py_read_std},
    {"jitter", REAL, OPTION(jitter)},
    {"grey", BOOL, AT(grey)},
    {"mixup", REAL, OPTION(mixup)},
    {"cutmix", REAL, OPTION(cutmix)},
    {"dtype", CHOICE, OPTION(dtype), .choices = dtypes},
    {"layout", CHOICE, OPTION(layout), .choices = layouts},
    {"threads", INT, OPTION(threads), .least = 0, .most = 1024},
    {"slots", INT, OPTION(slots), .least = 2, .most = 4096},
    {"slots_max", INT, OPTION(slots_max), .least = 2, .most = 4096},
    {"indices", READER, .read = an_py_read_indices},
    {"weights", READER, .read = an_py_read_weights},
    {"last", CHOICE, OPTION(last), .choices = lasts},
    {"labels", CHOICE, AT(labels), .choices = labels},
    {"return_index", BOOL, AT(return_index)},
    {"size_by_epoch", READER, .read = an_py_read_sizes},
    {"verify", BOOL, OPTION(verify)},
    {"engine", READER, .read = an_py_read_engine},
    {"device", READER, .read = an_py_read_device},
};

enum { ARGUMENTS = sizeof table / sizeof *table, POSITIONAL = 2 };

static int read_number(const argument *a, PyObject *value, void *place)
{
    uint64_t number;
    if (an_py_value_whole(a->name, value, a->least, a->most, &number) < 0)
        return -1;
    if (a->kind == U64)
        *(uint64_t *)place = number;
    else if (a->kind == U32)
        *(uint32_t *)place = (uint32_t)number;
    else
        *(int *)place = (int)number;
    return 0;
}

static int read_argument(const argument *a, PyObject *value, an_py_arguments *out)
{
    void *place = (char *)out + a->offset;
    switch (a->kind) {
    case REAL:
        return an_py_value_real(a->name, value, 0, INFINITY, place);
    case BOOL:
        return an_py_value_bool(a->name, value, place);
    case CHOICE:
        return an_py_value_choice(a->name, value, a->choices, place);
    case OBJECT:
        *(PyObject **)place = value;
        return 0;
    case READER:
        return a->read(a->name, value, out);
    default:
        return read_number(a, value, place);
    }
}

/* The name that was probably meant, as ": did you mean 'x'?", or "". difflib is slow to import, and so it is only when
 * something is wrong. */
static PyObject *suggestion(PyObject *name)
{
    PyObject *names = PyList_New(ARGUMENTS), *found = NULL;
    for (int i = 0; names && i < ARGUMENTS; i++)
        PyList_SetItem(names, i, PyUnicode_FromString(table[i].name));
    PyObject *difflib = PyImport_ImportModule("difflib");
    if (names && difflib)
        found = PyObject_CallMethod(difflib, "get_close_matches", "OOi", name, names, 1);
    Py_XDECREF(names);
    Py_XDECREF(difflib);
    PyObject *text = NULL;
    if (found && PyList_Check(found) && PyList_Size(found) > 0)
        text = PyUnicode_FromFormat("; did you mean '%U'?", PyList_GetItem(found, 0));
    else if (found)
        text = PyUnicode_FromString("");
    Py_XDECREF(found);
    return text;
}

static int refuse_unknown(PyObject *name)
{
    PyObject *end = suggestion(name);
    if (end)
        PyErr_Format(PyExc_TypeError, "Loader() has no argument '%U'%U", name, end);
    Py_XDECREF(end);
    return -1;
}

static int find(PyObject *name)
{
    const char *text = PyUnicode_AsUTF8AndSize(name, NULL);
    if (!text)
        return -1;
    for (int i = 0; i < ARGUMENTS; i++)
        if (!strcmp(table[i].name, text))
            return i;
    return refuse_unknown(name);
}

/* Sort what was given by the table's rows. */
static int collect(PyObject *args, PyObject *kwargs, PyObject *given[ARGUMENTS])
{
    Py_ssize_t count = PyTuple_Size(args), at = 0;
    PyObject *name, *value;
    if (count > POSITIONAL) {
        PyErr_Format(PyExc_TypeError, "Loader() takes %d arguments without names, path and batch_size, not %zd",
                     POSITIONAL, count);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        given[i] = PyTuple_GetItem(args, i);
    while (kwargs && PyDict_Next(kwargs, &at, &name, &value)) {
        int i = find(name);
        if (i < 0)
            return -1;
        if (given[i]) {
            PyErr_Format(PyExc_TypeError, "Loader() got %s twice", table[i].name);
            return -1;
        }
        given[i] = value;
    }
    for (int i = 0; i < POSITIONAL; i++)
        if (!given[i]) {
            PyErr_Format(PyExc_TypeError, "Loader() needs the argument %s", table[i].name);
            return -1;
        }
    return 0;
}

/* What liban would refuse as well, but by a name of its own. */
static int check_together(const an_py_arguments *a)
{
    if (a->options.deviation == LIBAN_DEVIATION_NONE || a->options.dtype != LIBAN_U8)
        return 0;
    PyErr_SetString(PyExc_ValueError, "std needs a floating-point dtype, such as dtype=\"f32\"");
    return -1;
}

int an_py_arguments_read(an_py_arguments *out, PyObject *args, PyObject *kwargs)
{
    PyObject *given[ARGUMENTS] = {NULL};
    *out = (an_py_arguments){.options = LIBAN_LOADER_OPTIONS_INIT};
    out->options.slots = 4;
    if (collect(args, kwargs, given) < 0)
        return -1;
    for (int i = 0; i < ARGUMENTS; i++)
        if (given[i] && read_argument(&table[i], given[i], out) < 0)
            return -1;
    if (!out->options.slots_max)
        out->options.slots_max = out->options.slots > 64 ? out->options.slots : 64;
    out->options.channels = out->grey ? 1 : 3;
    return check_together(out);
}

int an_py_arguments_check(const an_py_arguments *arguments, uint32_t side)
{
    for (size_t i = 0; i < arguments->options.crop_change_count; i++) {
        const liban_crop_change *change = &arguments->options.crop_changes[i];
        if (change->crop > side) {
            PyErr_Format(PyExc_ValueError, "size_by_epoch[%llu] is %lu: the dataset's images have %lu x %lu pixels",
                         (unsigned long long)change->epoch, (unsigned long)change->crop, (unsigned long)side,
                         (unsigned long)side);
            return -1;
        }
    }
    return 0;
}

void an_py_arguments_clear(an_py_arguments *arguments)
{
    free(arguments->indices);
    free(arguments->weights);
    free(arguments->sizes);
}
