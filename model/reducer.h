/* Replicas: several processes train the same network, each on its share of a batch, and add up their gradients before
 * each update. An exec knows its gradients and when backward is done with them; an an_reducer knows the other
 * processes. The reducer's owner makes it before the exec and frees it afterwards. It may give the memory for the
 * gradients, for instance memory that other processes see too; that memory is the reducer's, which frees it with
 * itself.
 *
 * The gradients are added up in buckets, each a list of memory ranges on one device. Buckets are numbered in the order
 * in which backward finishes them. All replicas must have the same buckets: the same ranges in the same layout. layout
 * is a hash of that, for the reducer to compare.
 *
 * Order of calls: alloc for each gradient, then open once, by an_exec_create. Then in each step, for each bucket,
 * queue, when backward has finished all of its gradients; and before the gradients are read, for each bucket, wait
 * (processors only). Buckets of one device are queued in the order of their numbers; those of two devices are not, and
 * replicas may differ in that. A step that fails may leave buckets out. Calls come from the threads that run the
 * devices, for several devices at once, wait also from the thread that drives the exec.
 *
 * Processors: stream is NULL and the gradients are there when queue is called; it returns at once, and the sums have
 * taken their place when wait returns. Between the two nobody else touches them. Each bucket that was queued is waited
 * for before it is queued again, and before its memory is freed; so also behind a step that failed, or that nobody
 * updates from. When wait has returned, be it with a failure, the reducer touches the gradients no more. After a
 * failure it may be asked again for the same bucket, and fails again.
 *
 * Devices that queue their work: queue adds the work to the stream that it is given, which is one of the bucket's
 * device and of reductions alone, and does not wait. It may be called while the device records calls; the recording
 * then repeats the work in later steps, without a call of queue. */
#ifndef AN_MODEL_REDUCER_H
#define AN_MODEL_REDUCER_H

#include <stddef.h>
#include <stdint.h>

#include "base/format.h"

typedef struct {
    void *values; /* on the device */
    uint64_t count;
    an_dtype dtype; /* AN_DTYPE_F32 or AN_DTYPE_BF16 */
} an_gradient;

typedef struct {
    int device; /* number in the list of devices */
    const an_gradient *gradients;
    int count;
    uint64_t bytes; /* of all of them */
} an_gradient_bucket;

typedef struct {
    void *context;
    uint64_t bucket_bytes; /* layers that follow each other share a bucket as long as it holds no more than this; a
                              layer is never divided. 0: each layer is a bucket of its own */
    int (*open)(void *context, const an_gradient_bucket *buckets, int count, uint64_t layout); /* they stay as long as
                                                                                                 the exec */
    int (*queue)(void *context, int bucket, void *stream);
    int (*wait)(void *context, int bucket);
    /* Optional, for processors: size bytes for gradients, zeroed, at the beginning of a page. */
    int (*alloc)(void *context, size_t size, void **out);
} an_reducer;

#endif
