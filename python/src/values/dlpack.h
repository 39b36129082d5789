/* The ABI of DLPack 1.x, stated from its specification (https://dmlc.github.io/dlpack/latest/): how libraries of
 * tensors hand each other memory without a copy.
 *
 * A producer wraps a managed tensor in a capsule called "dltensor" (before 1.0) or "dltensor_versioned" (from 1.0 on,
 * if the consumer asked for max_version). A consumer takes the tensor out, renames the capsule to "used_dltensor" or
 * "used_dltensor_versioned", and calls the tensor's deleter once, from any thread, when it is done with the memory. A
 * capsule that keeps its first name owns the tensor. */
#ifndef AN_PYTHON_SRC_VALUES_DLPACK_H
#define AN_PYTHON_SRC_VALUES_DLPACK_H

#include <stdint.h>

enum { DL_VERSION_MAJOR = 1, DL_VERSION_MINOR = 0 };

enum { DL_CPU = 1, DL_CUDA = 2 }; /* kinds of device */

enum { DL_INT = 0, DL_UINT = 1, DL_FLOAT = 2, DL_BFLOAT = 4 }; /* kinds of number */

enum { DL_READ_ONLY = 1 << 0, DL_IS_COPIED = 1 << 1 }; /* flags */

typedef struct {
    int32_t kind;
    int32_t number;
} dl_device;

typedef struct {
    uint8_t kind;
    uint8_t bits;
    uint16_t lanes; /* numbers of one element: 1 but for vector types */
} dl_type;

typedef struct {
    void *data;
    dl_device device;
    int32_t dimensions;
    dl_type type;
    int64_t *shape;
    int64_t *strides;     /* in elements */
    uint64_t byte_offset; /* of the first element from data */
} dl_tensor;

typedef struct dl_managed {
    dl_tensor tensor;
    void *context;
    void (*deleter)(struct dl_managed *self);
} dl_managed;

typedef struct {
    uint32_t major, minor;
} dl_version;

typedef struct dl_managed_versioned {
    dl_version version;
    void *context;
    void (*deleter)(struct dl_managed_versioned *self);
    uint64_t flags;
    dl_tensor tensor;
} dl_managed_versioned;

_Static_assert(sizeof(dl_tensor) == 48 && sizeof(dl_managed) == 64 && sizeof(dl_managed_versioned) == 80,
               "the ABI of DLPack on platforms with pointers of 8 bytes");

#endif
