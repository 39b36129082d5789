/* Datasets: what store/dataset knows, and pixels of single records. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "augment/loader.h"
#include "base/error.h"
#include "liban/common_private.h"
#include "liban/dataset_private.h"
#include "store/codec.h"

/* A decoder that nobody uses at the moment. */
typedef struct idle {
    struct idle *next;
    an_decoder *decoder;
} idle;

struct liban_dataset {
    an_dataset *inner;
    pid_t process;
    atomic_int holders;
    pthread_mutex_t lock;
    idle *decoders; /* under the lock: as many as were ever used at once */
};

int liban_dataset_open(liban_dataset **out, const char *path)
{
    *out = NULL;
    if (!path)
        return an_error(LIBAN_EINVAL, "a dataset needs a path");
    liban_dataset *d = calloc(1, sizeof *d);
    if (!d)
        return an_error(LIBAN_ENOMEM, "out of memory for a dataset");
    int rc = an_dataset_open(&d->inner, path);
    if (rc) {
        free(d);
        return rc;
    }
    d->process = getpid();
    atomic_init(&d->holders, 1);
    pthread_mutex_init(&d->lock, NULL); /* cannot fail on Linux */
    *out = d;
    return LIBAN_OK;
}

int an_lib_dataset_check(const liban_dataset *dataset)
{
    return an_lib_check_process(dataset->process, "dataset");
}

const an_dataset *an_lib_dataset_inner(const liban_dataset *dataset)
{
    return dataset->inner;
}

void an_lib_dataset_hold(liban_dataset *dataset)
{
    atomic_fetch_add_explicit(&dataset->holders, 1, memory_order_relaxed);
}

void an_lib_dataset_drop(liban_dataset *dataset)
{
    if (atomic_fetch_sub_explicit(&dataset->holders, 1, memory_order_acq_rel) > 1)
        return;
    while (dataset->decoders) {
        idle *unused = dataset->decoders;
        dataset->decoders = unused->next;
        an_decoder_free(unused->decoder);
        free(unused);
    }
    an_dataset_free(dataset->inner);
    pthread_mutex_destroy(&dataset->lock);
    free(dataset);
}

void liban_dataset_free(liban_dataset *dataset)
{
    if (dataset && !an_lib_is_forked(dataset->process))
        an_lib_dataset_drop(dataset);
}

/* ---- what stands in it ------------------------------------------------------------------------------------------ */

const char *liban_dataset_path(const liban_dataset *dataset)
{
    return an_dataset_path(dataset->inner);
}

uint64_t liban_dataset_count(const liban_dataset *dataset)
{
    return an_dataset_count(dataset->inner);
}

uint32_t liban_dataset_side(const liban_dataset *dataset)
{
    return an_dataset_side(dataset->inner);
}

const char *liban_dataset_manifest(const liban_dataset *dataset)
{
    return an_dataset_manifest(dataset->inner);
}

uint64_t liban_dataset_fingerprint(const liban_dataset *dataset)
{
    return an_dataset_fingerprint(dataset->inner);
}

uint32_t liban_dataset_class_count(const liban_dataset *dataset)
{
    return an_dataset_class_count(dataset->inner);
}

int liban_dataset_class(const liban_dataset *dataset, uint32_t label, liban_class *out)
{
    uint32_t count = an_dataset_class_count(dataset->inner);
    *out = (liban_class){0};
    if (label >= count)
        return an_error(LIBAN_EINVAL, "'%s' has %u classes, so there is no class %u", liban_dataset_path(dataset),
                        count, label);
    const an_class *class = an_dataset_class(dataset->inner, label);
    *out = (liban_class){.id = class->id, .name = class->name, .count = class->count};
    return LIBAN_OK;
}

void liban_dataset_statistics(const liban_dataset *dataset, liban_statistics *out)
{
    const an_statistics *s = an_dataset_statistics(dataset->inner);
    memcpy(out->mean, s->mean, sizeof out->mean);
    memcpy(out->deviation, s->deviation, sizeof out->deviation);
    memcpy(out->eigenvalue, s->eigenvalue, sizeof out->eigenvalue);
    memcpy(out->eigenvector, s->eigenvector, sizeof out->eigenvector);
    out->mean_image = s->mean_image;
}

void liban_dataset_labels(const liban_dataset *dataset, int64_t *out)
{
    const an_index_entry *index = an_dataset_index(dataset->inner);
    uint64_t count = an_dataset_count(dataset->inner);
    for (uint64_t i = 0; i < count; i++)
        out[i] = index[i].label;
}

/* ---- records ---------------------------------------------------------------------------------------------------- */

static int check_index(const liban_dataset *dataset, uint64_t index)
{
    uint64_t count = an_dataset_count(dataset->inner);
    if (index < count)
        return LIBAN_OK;
    return an_error(LIBAN_EINVAL, "'%s' has %llu records, so there is no record %llu", liban_dataset_path(dataset),
                    (unsigned long long)count, (unsigned long long)index);
}

/* A record whose header is sound. */
static int find(const liban_dataset *dataset, uint64_t index, an_record *out)
{
    int rc = an_lib_dataset_check(dataset);
    if (rc)
        return rc;
    rc = check_index(dataset, index);
    if (rc)
        return rc;
    return an_dataset_record(dataset->inner, index, out);
}

int liban_dataset_record(const liban_dataset *dataset, uint64_t index, liban_record *out)
{
    an_record record;
    liban_record found = {0};
    *out = found;
    int rc = find(dataset, index, &record);
    if (rc)
        return rc;
    rc = an_dataset_name(dataset->inner, index, &found.name, &found.name_length);
    if (rc)
        return rc;
    found.label = record.header.label;
    found.codec = an_codec_name(record.header.codec);
    found.payload = record.payload;
    found.payload_size = record.header.length;
    *out = found;
    return LIBAN_OK;
}

static int take_decoder(liban_dataset *d, idle **out)
{
    pthread_mutex_lock(&d->lock);
    *out = d->decoders;
    if (*out)
        d->decoders = (*out)->next;
    pthread_mutex_unlock(&d->lock);
    if (*out)
        return LIBAN_OK;
    idle *fresh = calloc(1, sizeof *fresh);
    if (!fresh)
        return an_error(LIBAN_ENOMEM, "out of memory for a decoder");
    int rc = an_decoder_create(&fresh->decoder);
    if (rc) {
        free(fresh);
        return rc;
    }
    *out = fresh;
    return LIBAN_OK;
}

static void put_decoder(liban_dataset *d, idle *used)
{
    pthread_mutex_lock(&d->lock);
    used->next = d->decoders;
    d->decoders = used;
    pthread_mutex_unlock(&d->lock);
}

static int decode(liban_dataset *dataset, const an_record *record, uint8_t *out)
{
    uint32_t side = liban_dataset_side(dataset);
    idle *mine;
    int rc = an_record_verify(record);
    if (rc)
        return rc;
    rc = take_decoder(dataset, &mine);
    if (rc)
        return rc;
    rc = an_decoder_window(mine->decoder, record, 0, 0, side, side, out, (size_t)side * 3);
    put_decoder(dataset, mine);
    return rc;
}

int liban_dataset_pixels(const liban_dataset *dataset, uint64_t index, uint8_t *out, size_t size)
{
    size_t side = liban_dataset_side(dataset);
    an_record record;
    int rc = find(dataset, index, &record);
    if (rc)
        return rc;
    if (size < side * side * 3)
        return an_error(LIBAN_EINVAL, "%zu bytes are too few for the %zu of %zu x %zu pixels", size, side * side * 3,
                        side, side);
    rc = decode((liban_dataset *)dataset, &record, out); /* the idle decoders are no part of what callers see */
    return rc ? an_loader_name_error(dataset->inner, rc, index) : LIBAN_OK;
}
