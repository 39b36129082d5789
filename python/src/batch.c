#include "python/src/batch_private.h"

#include <pthread.h>

#include "python/src/array_private.h"

typedef struct {
    PyObject_HEAD;
    pthread_mutex_t lock;   /* of storage, which release() drops */
    an_py_storage *storage; /* held; NULL after release() */
    an_py_delivery delivery;
    uint64_t epoch, step;
    uint32_t repeated;
} batch_object;

PyObject *an_py_batch_make(an_py_module *state, liban_batch *batch, const an_py_delivery *delivery)
{
    an_py_storage *storage = an_py_storage_of_batch(batch);
    if (!storage)
        return PyErr_NoMemory();
    batch_object *self = an_py_object_make(state->batch);
    if (!self) {
        an_py_storage_drop(storage);
        return NULL;
    }
    pthread_mutex_init(&self->lock, NULL);
    self->storage = storage;
    self->delivery = *delivery;
    self->epoch = batch->epoch;
    self->step = batch->step;
    self->repeated = batch->repeated;
    return (PyObject *)self;
}

static void drop(batch_object *self)
{
    pthread_mutex_lock(&self->lock);
    an_py_storage *storage = self->storage;
    self->storage = NULL;
    pthread_mutex_unlock(&self->lock);
    an_py_storage_drop(storage);
}

static void batch_free(PyObject *object)
{
    batch_object *self = (batch_object *)object;
    drop(self);
    pthread_mutex_destroy(&self->lock);
    an_py_object_free(object);
}

/* The batch's storage, held for the caller; NULL with an exception after release(). */
static an_py_storage *hold(PyObject *object)
{
    batch_object *self = (batch_object *)object;
    pthread_mutex_lock(&self->lock);
    an_py_storage *storage = self->storage ? an_py_storage_hold(self->storage) : NULL;
    pthread_mutex_unlock(&self->lock);
    if (!storage)
        PyErr_SetString(PyExc_RuntimeError, "the batch was released");
    return storage;
}

static PyObject *view(PyObject *self, an_py_storage *storage, void *data, const an_py_form *form)
{
    PyObject *array = an_py_array_make(an_py_module_of(self), storage, data, form);
    an_py_storage_drop(storage);
    return array;
}

static an_py_form images_form(const liban_batch *batch)
{
    static const an_py_dtype dtypes[] = {[LIBAN_U8] = AN_PY_UINT8,
                                         [LIBAN_F32] = AN_PY_FLOAT32,
                                         [LIBAN_BF16] = AN_PY_BFLOAT16,
                                         [LIBAN_F16] = AN_PY_FLOAT16};
    bool planes = batch->layout == LIBAN_NCHW;
    Py_ssize_t channels = batch->channels, crop = batch->crop;
    return (an_py_form){.dtype = dtypes[batch->dtype],
                        .dimensions = 4,
                        .shape = {batch->count, planes ? channels : crop, crop, planes ? crop : channels},
                        .writable = true,
                        .device = batch->device};
}

static PyObject *get_images(PyObject *self, void *unused)
{
    (void)unused;
    an_py_storage *storage = hold(self);
    if (!storage)
        return NULL;
    liban_batch *batch = an_py_storage_batch(storage);
    an_py_form form = images_form(batch);
    return view(self, storage, batch->images, &form);
}

static PyObject *int32_labels(an_py_module *state, const liban_batch *batch)
{
    an_py_form form = {.dtype = AN_PY_INT32, .dimensions = 1, .shape = {batch->count}, .device = -1, .writable = true};
    an_py_storage *storage = an_py_storage_alloc(batch->count * sizeof(int32_t));
    int32_t *out = storage ? an_py_storage_bytes(storage) : NULL;
    for (uint32_t i = 0; out && i < batch->count; i++)
        out[i] = (int32_t)batch->labels[i];
    return an_py_array_take(state, storage, &form);
}

static PyObject *onehot_labels(an_py_module *state, const liban_batch *batch, uint32_t classes)
{
    an_py_form form = {
        .dtype = AN_PY_FLOAT32, .dimensions = 2, .shape = {batch->count, classes}, .device = -1, .writable = true};
    an_py_storage *storage = an_py_storage_alloc((size_t)batch->count * classes * sizeof(float));
    float *out = storage ? an_py_storage_bytes(storage) : NULL;
    for (uint32_t i = 0; out && i < batch->count; i++)
        out[(size_t)i * classes + (size_t)batch->labels[i]] = 1;
    return an_py_array_take(state, storage, &form);
}

static PyObject *get_labels(PyObject *self, void *unused)
{
    (void)unused;
    an_py_storage *storage = hold(self);
    if (!storage)
        return NULL;
    an_py_module *state = an_py_module_of(self);
    const an_py_delivery *delivery = &((batch_object *)self)->delivery;
    liban_batch *batch = an_py_storage_batch(storage);
    an_py_form form = {.dtype = AN_PY_INT64, .dimensions = 1, .shape = {batch->count}, .device = -1};
    PyObject *array = delivery->labels == AN_PY_LABELS_I64   ? an_py_array_make(state, storage, batch->labels, &form)
                      : delivery->labels == AN_PY_LABELS_I32 ? int32_labels(state, batch)
                                                             : onehot_labels(state, batch, delivery->classes);
    an_py_storage_drop(storage);
    return array;
}

static PyObject *get_indices(PyObject *self, void *unused)
{
    (void)unused;
    an_py_storage *storage = hold(self);
    if (!storage)
        return NULL;
    liban_batch *batch = an_py_storage_batch(storage);
    an_py_form form = {.dtype = AN_PY_INT64, .dimensions = 1, .shape = {batch->count}, .device = -1};
    return view(self, storage, batch->indices, &form);
}

/* None if nothing is mixed. */
static PyObject *mixing(PyObject *self, an_py_storage *storage, void *data, const an_py_form *form)
{
    if (data)
        return view(self, storage, data, form);
    an_py_storage_drop(storage);
    return Py_NewRef(Py_None);
}

static PyObject *get_shares(PyObject *self, void *unused)
{
    (void)unused;
    an_py_storage *storage = hold(self);
    if (!storage)
        return NULL;
    liban_batch *batch = an_py_storage_batch(storage);
    an_py_form form = {.dtype = AN_PY_FLOAT32, .dimensions = 1, .shape = {batch->count}, .device = -1};
    return mixing(self, storage, batch->shares, &form);
}

static PyObject *get_boxes(PyObject *self, void *unused)
{
    (void)unused;
    an_py_storage *storage = hold(self);
    if (!storage)
        return NULL;
    liban_batch *batch = an_py_storage_batch(storage);
    an_py_form form = {.dtype = AN_PY_UINT16, .dimensions = 2, .shape = {batch->count, 4}, .device = -1};
    return mixing(self, storage, batch->boxes, &form);
}

static PyObject *get_epoch(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(((batch_object *)self)->epoch);
}

static PyObject *get_step(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLongLong(((batch_object *)self)->step);
}

static PyObject *get_repeated(PyObject *self, void *unused)
{
    (void)unused;
    return PyLong_FromUnsignedLong(((batch_object *)self)->repeated);
}

static Py_ssize_t length(PyObject *self)
{
    return ((batch_object *)self)->delivery.return_index ? 3 : 2;
}

static PyObject *item(PyObject *self, Py_ssize_t index)
{
    if (index < 0 || index >= length(self)) {
        PyErr_Format(PyExc_IndexError, "a batch unpacks to %zd arrays", length(self));
        return NULL;
    }
    return index == 0 ? get_images(self, NULL) : index == 1 ? get_labels(self, NULL) : get_indices(self, NULL);
}

static PyObject *batch_release(PyObject *self, PyObject *unused)
{
    (void)unused;
    drop((batch_object *)self);
    return Py_NewRef(Py_None);
}

static PyObject *batch_use(PyObject *self, PyObject *stream)
{
    an_py_storage *storage = hold(self);
    if (!storage)
        return NULL;
    int failed = an_py_storage_use(an_py_module_of(self), storage, stream);
    an_py_storage_drop(storage);
    return failed ? NULL : Py_NewRef(Py_None);
}

static PyObject *iter(PyObject *self)
{
    return PySeqIter_New(self);
}

static PyObject *repr(PyObject *object)
{
    batch_object *self = (batch_object *)object;
    PyObject *images = get_images(object, NULL);
    if (images) {
        PyObject *text = PyUnicode_FromFormat("<an_loader.Batch epoch %llu step %llu: %R>",
                                              (unsigned long long)self->epoch, (unsigned long long)self->step, images);
        Py_DECREF(images);
        return text;
    }
    if (!PyErr_ExceptionMatches(PyExc_RuntimeError))
        return NULL;
    PyErr_Clear();
    return PyUnicode_FromFormat("<an_loader.Batch epoch %llu step %llu: released>", (unsigned long long)self->epoch,
                                (unsigned long long)self->step);
}

static PyObject *no_pickle(PyObject *self, PyObject *unused)
{
    (void)self;
    (void)unused;
    PyErr_SetString(PyExc_TypeError, "a Batch cannot be pickled, as it is memory of the loader: make copies of its "
                                     "arrays, such as numpy.array(batch.images), and pickle those");
    return NULL;
}

int an_py_batch_add(PyObject *module, an_py_module *state)
{
    static PyGetSetDef members[] = {
        {"images", get_images, NULL,
         PyDoc_STR("(n, channels, crop, crop) with layout \"nchw\", (n, crop, crop, channels) with \"nhwc\"; in the\n"
                   "loader's dtype. Writable."),
         NULL},
        {"labels", get_labels, NULL,
         PyDoc_STR("(n,) classes, int64 or int32; (n, classes) float32 with labels=\"onehot\"."), NULL},
        {"indices", get_indices, NULL, PyDoc_STR("(n,) int64: numbers of the records in the dataset. Read-only."),
         NULL},
        {"shares", get_shares, NULL,
         PyDoc_STR("(n,) float32 with mixup or cutmix, else None: the weight of a sample's own label; the rest is its\n"
                   "partner's, sample i ^ 1. Read-only."),
         NULL},
        {"boxes", get_boxes, NULL,
         PyDoc_STR("(n, 4) uint16 with mixup or cutmix, else None: x0, y0, x1, y1 (excluded) in pixels of the crop,\n"
                   "which CutMix takes from the partner; all 0 for mixup and for nothing. Read-only."),
         NULL},
        {"epoch", get_epoch, NULL, PyDoc_STR("Of the batch, from 0."), NULL},
        {"step", get_step, NULL, PyDoc_STR("Of the epoch, from 0."), NULL},
        {"repeated", get_repeated, NULL,
         PyDoc_STR("The last so many samples were shown before in this epoch (last=\"short\" and \"pad\")."), NULL},
        {NULL, NULL, NULL, NULL, NULL},
    };
    static PyMethodDef methods[] = {
        {"release", batch_release, METH_NOARGS,
         PyDoc_STR("release($self)\n--\n\nGive the memory back, once the arrays and tensors of it are gone.")},
        {"use", batch_use, METH_O,
         PyDoc_STR(
             "use($self, stream, /)\n--\n\nFor batches on a device: what is given to this stream from now on finds "
             "the images finished, and\ntheir memory is used again only when the stream has done what it was "
             "given until then. from_dlpack\ndoes that for its own stream; name others that use the images. "
             "stream: as in __dlpack__, such as\ntorch.cuda.Stream.cuda_stream.")},
        AN_PY_NO_PICKLE(no_pickle),
        {NULL, NULL, 0, NULL},
    };
    static PyType_Slot slots[] = {
        AN_PY_DOC("A batch that the loader has lent. Unpacks as images, labels, or as images, labels, indices with\n"
                  "return_index=True. Its memory is used again once it and every Array and tensor of it are gone, or\n"
                  "after release() and when every Array and tensor is gone."),
        {Py_tp_dealloc, batch_free},
        {Py_tp_repr, repr},
        {Py_tp_iter, iter},
        {Py_tp_getset, members},
        {Py_tp_methods, methods},
        {Py_sq_length, length},
        {Py_sq_item, item},
        {0, NULL},
    };
    static PyType_Spec spec = {"an_loader.Batch", sizeof(batch_object), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
                               slots};
    return an_py_type_add(module, &spec, &state->batch);
}
