/* Batches on a device: a loader that delivers undecoded records, and a feed (augment/feed.h) that makes samples of them
 * on a device. A run (run_private.h) has one in the place of a loader; the functions do what those of augment/loader.h
 * do.
 *
 * Ownership. The caller owns it, and it owns loader, feed and all memory. Lent batches are valid until it is freed.
 * Threads. Any thread may call any function but an_lib_device_free at any time; by then every other call must have
 * returned.
 *
 * Memory on the device: `slots` batches of samples with their records from the start, for a batch on its way, one that
 * is being decoded, one that is ready and one that is lent. When all are lent and another one is asked for, one more is
 * made, up to slots_max, and kept: made at the start, the 64 that loaders have by default would take gigabytes that
 * hardly any training needs. A batch takes batch x an_sampler_bytes and the records' size; the decoder takes three
 * bytes for each pixel of a batch beside them. Nothing else is allocated afterwards.
 *
 * Damage. The device finds out what is wrong inside a record while it decodes it, which checksums do not tell. A batch
 * is lent only when it is known to be sound, so the thread that feeds the device waits for it, ahead of whoever asks;
 * those wait for a batch as they would for the host's loader. */
#ifndef AN_LIBAN_DEVICE_PRIVATE_H
#define AN_LIBAN_DEVICE_PRIVATE_H

#include "augment/loader.h"

typedef struct an_lib_device an_lib_device;

/* loader: as for batches on the host, without memory of the caller's; slots and slots_max: batches on the device. name:
 * "cuda:0". AN_EINVAL for an impossible name or option; AN_EUNSUPPORTED without module, driver or device. */
int an_lib_device_create(an_lib_device **out, const char *name, const an_loader_options *loader);
/* Stop the threads; what waits for a batch, and all that asks later, gets AN_STOPPED. */
void an_lib_device_close(an_lib_device *device);
/* Closes, waits for the device's work and frees everything, lent batches included. NULL is fine. */
void an_lib_device_free(an_lib_device *device);

int an_lib_device_number(const an_lib_device *device);  /* of the CUDA device */
an_loader *an_lib_device_loader(an_lib_device *device); /* for questions */
/* The loader's, but for what the callers of an_lib_device_next met; slots: batches on the device. */
void an_lib_device_stats(an_lib_device *device, an_loader_stats *out);
bool an_lib_device_has_failed(an_lib_device *device); /* for good */
/* The record that it failed for, wherever it was found damaged. */
bool an_lib_device_failed_record(an_lib_device *device, uint64_t *out);

/* As an_loader_next_within. The batch's data lies on the device, its other arrays on the host. */
int an_lib_device_next(an_lib_device *device, an_batch *out, uint64_t nanoseconds);
int an_lib_device_release(an_lib_device *device, const an_batch *batch);
/* What the stream is given from now on finds the batch finished; its memory is used again when that is done which the
 * stream has been given until the release. */
int an_lib_device_use(an_lib_device *device, const an_batch *batch, void *stream);
void an_lib_device_interrupt(an_lib_device *device);
void an_lib_device_resume(an_lib_device *device);

#endif
