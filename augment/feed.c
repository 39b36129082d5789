/* The program's side of feeds: everything is passed on to the module. */
#include "augment/feed.h"

#include "augment/decoder_module.h"

/* Of the module that is loaded: whoever has a feed has loaded it. */
static const an_feed_api *loaded(void)
{
    const an_decoder_api *module;
    return an_decoder_module_load(&module) ? NULL : module->feed;
}

int an_batch_feed_create(an_batch_feed **out, const an_batch_feed_options *options)
{
    const an_decoder_api *module;
    *out = NULL;
    int rc = an_decoder_module_load(&module);
    return rc ? rc : module->feed->create(out, options);
}

void an_batch_feed_free(an_batch_feed *feed)
{
    if (feed)
        loaded()->free(feed);
}

uint64_t an_batch_feed_memory(const an_batch_feed *feed)
{
    return loaded()->memory(feed);
}

int an_batch_feed_alloc(void *feed, void **out, size_t size)
{
    return loaded()->alloc(feed, out, size);
}

void an_batch_feed_release(void *feed, void *memory, size_t size)
{
    loaded()->release(feed, memory, size);
}

int an_batch_feed_grow(an_batch_feed *feed)
{
    return loaded()->grow(feed);
}

int an_batch_feed_put(an_batch_feed *feed, uint32_t place, const void *block, size_t size, uint32_t count)
{
    return loaded()->put(feed, place, block, size, count);
}

int an_batch_feed_again(an_batch_feed *feed, uint32_t place)
{
    return loaded()->again(feed, place);
}

int an_batch_feed_wait(an_batch_feed *feed, uint32_t place, uint32_t *sample)
{
    return loaded()->wait(feed, place, sample);
}

int an_batch_feed_done(an_batch_feed *feed, uint32_t place, uint32_t *sample)
{
    return loaded()->done(feed, place, sample);
}

int an_batch_feed_read(an_batch_feed *feed, uint32_t place, void *samples)
{
    return loaded()->read(feed, place, samples);
}

void *an_batch_feed_samples(const an_batch_feed *feed, uint32_t place)
{
    return loaded()->samples(feed, place);
}

int an_batch_feed_use(an_batch_feed *feed, uint32_t place, void *stream)
{
    return loaded()->use(feed, place, stream);
}

int an_batch_feed_unuse(an_batch_feed *feed, uint32_t place)
{
    return loaded()->unuse(feed, place);
}
