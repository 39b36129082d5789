/* Memory with a count of its holders: a batch of the loader, or bytes that were allocated. Arrays, batches and the
 * tensors that DLPack made of them are its holders; the last one gives the batch back to its loader or frees the bytes.
 *
 * Threads. Any thread may hold and drop, with or without the GIL, also while the interpreter ends: nothing here is a
 * Python object. */
#ifndef AN_PYTHON_SRC_STORAGE_PRIVATE_H
#define AN_PYTHON_SRC_STORAGE_PRIVATE_H

#include <stddef.h>

#include <an/loader.h>

typedef struct an_py_storage an_py_storage;

/* Both make the caller the one holder. NULL if memory is out, with no exception set; the batch is then released. */
an_py_storage *an_py_storage_of_batch(liban_batch *batch);
an_py_storage *an_py_storage_alloc(size_t size); /* zeros */

void *an_py_storage_bytes(an_py_storage *storage);        /* what was allocated */
liban_batch *an_py_storage_batch(an_py_storage *storage); /* NULL if it is none */

an_py_storage *an_py_storage_hold(an_py_storage *storage); /* returns it */
void an_py_storage_drop(an_py_storage *storage);           /* NULL is fine */

#endif
