/* Passes everything on to whichever it is. */
#include "liban/source_private.h"

#include <an/loader.h>

#include "augment/decoder.h"
#include "base/error.h"

int an_lib_source_create(an_lib_source *out, const char *device, const an_loader_options *options)
{
    *out = (an_lib_source){0};
    return device ? an_lib_device_create(&out->device, device, options) : an_loader_create(&out->loader, options);
}

void an_lib_source_close(an_lib_source *s)
{
    if (s->device)
        an_lib_device_close(s->device);
    else
        an_loader_close(s->loader);
}

void an_lib_source_free(an_lib_source *s)
{
    an_lib_device_free(s->device);
    an_loader_free(s->loader);
}

int an_lib_source_next_within(an_lib_source *s, an_batch *out, uint64_t nanoseconds)
{
    return s->device ? an_lib_device_next(s->device, out, nanoseconds)
                     : an_loader_next_within(s->loader, out, nanoseconds);
}

int an_lib_source_release(an_lib_source *s, const an_batch *batch)
{
    return s->device ? an_lib_device_release(s->device, batch) : an_loader_release(s->loader, batch);
}

int an_lib_source_use(an_lib_source *s, const an_batch *batch, void *stream)
{
    return s->device ? an_lib_device_use(s->device, batch, stream)
                     : an_error(AN_EINVAL, "this batch lies on the host, where there are no streams");
}

void an_lib_source_interrupt(an_lib_source *s)
{
    if (s->device)
        an_lib_device_interrupt(s->device);
    else
        an_loader_interrupt(s->loader);
}

void an_lib_source_resume(an_lib_source *s)
{
    if (s->device)
        an_lib_device_resume(s->device);
    else
        an_loader_resume(s->loader);
}

int an_lib_source_device(const an_lib_source *s)
{
    return s->device ? an_lib_device_number(s->device) : -1;
}

void an_lib_source_stats_get(an_lib_source *s, an_loader_stats *out)
{
    if (s->device)
        an_lib_device_stats(s->device, out);
    else
        an_loader_stats_get(s->loader, out);
}

const char *an_lib_source_note(const an_lib_source *s)
{
    return an_loader_note(s->device ? an_lib_device_loader(s->device) : s->loader);
}

bool an_lib_source_has_failed(an_lib_source *s)
{
    return s->device ? an_lib_device_has_failed(s->device) : an_loader_has_failed(s->loader);
}

bool an_lib_source_failed_record(an_lib_source *s, uint64_t *out)
{
    return s->device ? an_lib_device_failed_record(s->device, out) : an_loader_failed_record(s->loader, out);
}

int liban_device_module(const char *file)
{
    return an_decoder_module_bring(file);
}
