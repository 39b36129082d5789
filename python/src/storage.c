#include "python/src/storage_private.h"

#include <stdatomic.h>
#include <stdlib.h>

struct an_py_storage {
    atomic_size_t holders;
    liban_batch *batch;
    void *bytes;
};

static an_py_storage *make(liban_batch *batch, void *bytes)
{
    an_py_storage *storage = malloc(sizeof *storage);
    if (!storage)
        return NULL;
    atomic_init(&storage->holders, 1);
    storage->batch = batch;
    storage->bytes = bytes;
    return storage;
}

an_py_storage *an_py_storage_of_batch(liban_batch *batch)
{
    an_py_storage *storage = make(batch, NULL);
    if (!storage)
        (void)liban_batch_release(batch); /* cannot fail: it is lent */
    return storage;
}

an_py_storage *an_py_storage_alloc(size_t size)
{
    void *bytes = calloc(1, size ? size : 1);
    if (!bytes)
        return NULL;
    an_py_storage *storage = make(NULL, bytes);
    if (!storage)
        free(bytes);
    return storage;
}

void *an_py_storage_bytes(an_py_storage *storage)
{
    return storage->bytes;
}

liban_batch *an_py_storage_batch(an_py_storage *storage)
{
    return storage->batch;
}

an_py_storage *an_py_storage_hold(an_py_storage *storage)
{
    atomic_fetch_add_explicit(&storage->holders, 1, memory_order_relaxed);
    return storage;
}

void an_py_storage_drop(an_py_storage *storage)
{
    if (!storage || atomic_fetch_sub_explicit(&storage->holders, 1, memory_order_acq_rel) > 1)
        return;
    if (storage->batch)
        (void)liban_batch_release(storage->batch); /* fails only in a fork, whose loader is not this process's */
    free(storage->bytes);
    free(storage);
}
