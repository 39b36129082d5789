/* Batches of payloads, for devices that decode them. The DESIGN stands in loader.c.
 *
 * Payloads begin at cache lines, so that the copy into the block bypasses the caches: what a device fetches from memory
 * need not pass through them. */
#include <inttypes.h>
#include <stdlib.h>

#include "augment/decoder.h"
#include "augment/loader_private.h"
#include "base/buffer.h"

enum { LINE = 64 };

static size_t whole_lines(size_t bytes)
{
    return (bytes + LINE - 1) / LINE * LINE;
}

/* ---- how large a block can become ------------------------------------------------------------------------------- */

/* What a record may take in a block. */
typedef struct {
    size_t sample;          /* bytes of a finished sample */
    bool samples, payloads; /* it may come as either; one of them is true */
} forms;

static forms forms_of(const an_loader_options *o)
{
    an_codec codec;
    bool resized = o->sample.area_min > 0;
    bool coef = an_dataset_codec(o->dataset, &codec) && codec == AN_CODEC_COEF;
    return (forms){
        .sample = (size_t)o->sample.crop * o->sample.crop * 3, .samples = resized || !coef, .payloads = !resized};
}

static size_t largest_form(const forms *f, const an_index_entry *entry)
{
    size_t payload = f->payloads && entry->length > AN_RECORD_HEADER_SIZE ? entry->length - AN_RECORD_HEADER_SIZE : 0;
    size_t sample = f->samples ? f->sample : 0;
    return whole_lines(payload > sample ? payload : sample);
}

/* A heap of the largest sizes so far, the smallest of them at the top. */
typedef struct {
    size_t *sizes;
    size_t count;
} heap;

/* Put size at the top and let it sink to its place. */
static void replace_smallest(heap *h, size_t size)
{
    size_t at = 0, child = 1;
    while (child < h->count) {
        child += child + 1 < h->count && h->sizes[child + 1] < h->sizes[child];
        if (h->sizes[child] >= size)
            break;
        h->sizes[at] = h->sizes[child];
        at = child;
        child = 2 * at + 1;
    }
    h->sizes[at] = size;
}

static int larger_first(const void *a, const void *b)
{
    size_t left = *(const size_t *)a, right = *(const size_t *)b;
    return (left < right) - (left > right);
}

/* Samples of a batch at most. */
static uint32_t largest_count(const an_loader_options *o, uint64_t records)
{
    return records < o->batch && o->last != AN_LAST_PAD ? (uint32_t)records : o->batch;
}

/* How often one record can come in a batch of count samples. A batch that lies in two epochs may hold a record twice,
 * one that is padded as often as it goes round. */
static uint64_t times_in_batch(const an_loader_options *o, uint64_t records, uint32_t count)
{
    uint64_t rounds = (count + records - 1) / records;
    if (o->weights)
        return count;
    return o->last == AN_LAST_CARRY ? 2 : rounds;
}

/* What a batch takes at most, in whatever order the records come: the largest ones as often as they can come. */
static int sum_of_largest(const an_loader_options *o, uint64_t records, uint32_t count, size_t *out)
{
    uint64_t times = times_in_batch(o, records, count);
    uint32_t batch = (uint32_t)((count + times - 1) / times);
    const an_index_entry *index = an_dataset_index(o->dataset);
    forms f = forms_of(o);
    heap largest = {.sizes = calloc(batch, sizeof(size_t)), .count = batch};
    if (!largest.sizes)
        return an_error(AN_ENOMEM, "out of memory for a batch of %u", batch);
    for (uint64_t i = 0; i < records; i++) {
        uint64_t record = o->subset ? o->subset[i] : i;
        bool comes = record < an_dataset_count(o->dataset) && !(o->weights && o->weights[i] <= 0);
        size_t size = comes ? largest_form(&f, &index[record]) : 0;
        if (size > largest.sizes[0])
            replace_smallest(&largest, size);
    }
    qsort(largest.sizes, batch, sizeof *largest.sizes, larger_first);
    *out = 0;
    for (uint32_t i = 0; i < count; i++)
        *out += largest.sizes[i / times];
    free(largest.sizes);
    return AN_OK;
}

int an_loader_block_size(const an_loader_options *o, size_t *out)
{
    uint64_t records = o->subset ? o->subset_count : an_dataset_count(o->dataset);
    uint32_t batch = largest_count(o, records);
    if (records == 0 || batch == 0)
        return an_error(AN_EINVAL, "dataset '%s': no records to load", an_dataset_path(o->dataset));
    int rc = sum_of_largest(o, records, batch, out);
    if (rc)
        return rc;
    *out += whole_lines(an_payload_first_offset(batch)) + AN_PAYLOAD_SLACK;
    if (*out > UINT32_MAX)
        return an_error(AN_EINVAL, "a batch of %u payloads takes %zu bytes: give fewer than 4 GiB", batch, *out);
    return AN_OK;
}

int an_loader_payload_check(an_loader *l)
{
    const an_format *format = &l->options.sample.format;
    if (format->dtype != AN_DTYPE_U8 || format->layout != AN_LAYOUT_NHWC || format->channels != 3)
        return an_error(AN_EINVAL, "devices decode to u8, NHWC, 3 channels: the samples' format must be that");
    l->block_samples = forms_of(&l->options).samples;
    return an_loader_block_size(&l->options, &l->block_size);
}

int an_loader_payload_worker(const an_loader *l, an_loader_worker *w)
{
    w->sample = malloc(an_sampler_bytes(l->sampler));
    return w->sample ? AN_OK : an_error(AN_ENOMEM, "out of memory for a sample");
}

/* ---- filling it ------------------------------------------------------------------------------------------------- */

void an_loader_payload_open(an_loader_slot *s)
{
    uint32_t count = s->batch.count;
    s->places = (an_payload *)((uint8_t *)s->batch.data + an_payload_places_offset(count));
    atomic_store_explicit(&s->used, whole_lines(an_payload_first_offset(count)), memory_order_relaxed);
}

void an_loader_payload_close(an_loader_slot *s)
{
    s->batch.size = atomic_load_explicit(&s->used, memory_order_relaxed) + AN_PAYLOAD_SLACK;
}

/* Take bytes of the block for an item's payload. NULL: the slot was made for less. */
static uint8_t *take(const an_loader *l, an_loader_slot *s, const an_loader_item *it, size_t bytes,
                     an_payload_kind kind)
{
    size_t offset = atomic_fetch_add_explicit(&s->used, whole_lines(bytes), memory_order_relaxed);
    if (offset + bytes + AN_PAYLOAD_SLACK > l->block_size)
        return NULL;
    s->places[it->position] = (an_payload){.offset = (uint32_t)offset, .size = (uint32_t)bytes, .kind = kind};
    return (uint8_t *)s->batch.data + offset;
}

/* Whether a decoder takes the record as it is. */
static bool takes(const an_loader *l, const an_record *record)
{
    const an_record_header *header = &record->header;
    uint32_t side = an_dataset_side(l->options.dataset);
    if (header->codec != AN_CODEC_COEF || header->width != side || header->height != side)
        return false;
    return l->options.sample.area_min <= 0 && an_batch_decoder_takes(record->payload, header->length, side);
}

static int move(const an_loader *l, an_loader_slot *s, const an_loader_item *it, const an_loader_item *next,
                const an_record *record)
{
    uint8_t *out = take(l, s, it, record->header.length, AN_PAYLOAD_COEF);
    if (!out)
        return an_error(AN_EINTERNAL, "a block of %zu bytes is too small for its batch", l->block_size);
    const uint8_t *ahead = next ? next->read.data : NULL; /* NULL too if it could not be read */
    int rc = an_record_copy(record, out, ahead, ahead ? next->read.length : 0);
    return l->options.verify ? rc : AN_OK; /* memory is the limit: the checksum takes no time */
}

/* A record that the manifest does not speak of has no place in the block. If it is damaged, that is said first. */
static int finish(const an_loader *l, an_loader_worker *w, an_loader_slot *s, const an_loader_item *it,
                  const an_record *record, const an_sample_draw *draw)
{
    size_t bytes = an_sampler_bytes(l->sampler);
    uint8_t *out = l->block_samples ? take(l, s, it, bytes, AN_PAYLOAD_PIXELS) : w->sample;
    if (!out)
        return an_error(AN_EINTERNAL, "a block of %zu bytes is too small for its batch", l->block_size);
    int rc = l->options.verify ? an_record_verify(record) : AN_OK;
    if (rc)
        return rc;
    rc = an_sampler_make(l->sampler, w->scratch, record, draw, out);
    if (rc || l->block_samples)
        return rc;
    return an_error(AN_EUNSUPPORTED,
                    "it is %s, but the manifest says that all records are coef: decode on the host instead",
                    an_codec_name(record->header.codec));
}

int an_loader_payload_make(an_loader *l, an_loader_worker *w, an_loader_item *it, const an_loader_item *next,
                           an_loader_slot *s)
{
    an_record record;
    an_sample_draw draw;
    int rc = an_loader_parse(l, it, &record);
    if (rc)
        return rc;
    an_loader_note_sample(l, it, s, &record, &draw);
    return takes(l, &record) ? move(l, s, it, next, &record) : finish(l, w, s, it, &record, &draw);
}
