/* What a run takes its batches from: a loader of augment/ alone, or one with a device behind it (device_private.h). The
 * functions are those of augment/loader.h of the same names. */
#ifndef AN_LIBAN_SOURCE_PRIVATE_H
#define AN_LIBAN_SOURCE_PRIVATE_H

#include "augment/loader.h"
#include "liban/device_private.h"

typedef struct {
    an_loader *loader;     /* of the host; NULL: a device is used */
    an_lib_device *device; /* NULL: none is */
} an_lib_source;

/* device: NULL for the host. Free it whatever is returned. */
int an_lib_source_create(an_lib_source *out, const char *device, const an_loader_options *options);
void an_lib_source_close(an_lib_source *source);
void an_lib_source_free(an_lib_source *source);

int an_lib_source_next_within(an_lib_source *source, an_batch *out, uint64_t nanoseconds);
int an_lib_source_release(an_lib_source *source, const an_batch *batch);
int an_lib_source_use(an_lib_source *source, const an_batch *batch, void *stream); /* AN_EINVAL on the host */
void an_lib_source_interrupt(an_lib_source *source);
void an_lib_source_resume(an_lib_source *source);

int an_lib_source_device(const an_lib_source *source); /* -1: the host */
void an_lib_source_stats_get(an_lib_source *source, an_loader_stats *out);
const char *an_lib_source_note(const an_lib_source *source);
bool an_lib_source_has_failed(an_lib_source *source);
bool an_lib_source_failed_record(an_lib_source *source, uint64_t *out);

#endif
