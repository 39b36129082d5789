/* Opening a dataset: first the database meta, which says what to expect, then one walk over everything. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/bytes.h"
#include "base/error.h"
#include "store/dataset/dataset_private.h"
#include "store/dataset/layout_private.h"

static const uint8_t *value_of(const an_dataset *d, const an_lmdb_item *item)
{
    return d->file.data + item->offset;
}

enum { FORMAT, SIDE, COUNT, REJECTS, HEADERS, CHECKSUM, MANIFEST, SUMS, META_KEYS };

static const struct {
    const char *key;
    uint32_t size; /* of the value; 0: any */
} meta_keys[META_KEYS] = {[FORMAT] = {AN_DATASET_LAYOUT_FORMAT, 4},     [SIDE] = {AN_DATASET_LAYOUT_SIDE, 4},
                          [COUNT] = {AN_DATASET_LAYOUT_COUNT, 8},       [REJECTS] = {AN_DATASET_LAYOUT_REJECTS, 8},
                          [HEADERS] = {AN_DATASET_LAYOUT_HEADERS, 8},   [CHECKSUM] = {AN_DATASET_LAYOUT_CHECKSUM, 8},
                          [MANIFEST] = {AN_DATASET_LAYOUT_MANIFEST, 0}, [SUMS] = {AN_DATASET_LAYOUT_SUMS, 0}};

typedef struct {
    const uint8_t *value;
    uint32_t length;
} meta_value;

typedef struct {
    const an_dataset *dataset;
    meta_value values[META_KEYS];
} meta;

static int visit_meta(void *context, const an_lmdb_item *item)
{
    meta *m = context;
    for (int i = 0; i < META_KEYS; i++) {
        const char *key = meta_keys[i].key;
        if (item->key_size == strlen(key) && memcmp(item->key, key, item->key_size) == 0 &&
            (meta_keys[i].size == 0 || meta_keys[i].size == item->length))
            m->values[i] = (meta_value){value_of(m->dataset, item), item->length};
    }
    return AN_OK;
}

static int check_meta(const an_dataset *d, const meta *m)
{
    const uint8_t *format = m->values[FORMAT].value;
    if (!format)
        return an_error(AN_ECORRUPT, "'%s' is an LMDB file, but not a dataset: make one with an-ingest", d->data);
    if (an_bytes_u32(format) != AN_DATASET_VERSION)
        return an_error(AN_EUNSUPPORTED, "'%s' is of format %u, but this program reads %d: ingest again", d->data,
                        an_bytes_u32(format), AN_DATASET_VERSION);
    if (!m->values[CHECKSUM].value)
        return an_error(AN_ECORRUPT,
                        "'%s' is unfinished: give the same an-ingest command again, or a writer with "
                        "the same options, to complete it",
                        d->path);
    for (int i = 0; i < META_KEYS; i++)
        if (!m->values[i].value)
            return an_error(AN_ECORRUPT, "'%s' is damaged: '%s' is missing", d->data, meta_keys[i].key);
    return AN_OK;
}

/* The sums are exact integers, so the statistics are the same on every machine. */
static int load_statistics(an_dataset *d, const meta_value *value)
{
    an_statistics_sums sums;
    int rc = an_statistics_sums_init(&sums, d->side);
    if (rc)
        return rc;
    rc = an_statistics_sums_unpack(&sums, value->value, value->length);
    if (!rc)
        rc = an_statistics_compute(&sums, &d->statistics);
    d->sums = XXH3_64bits(value->value, value->length);
    an_statistics_sums_free(&sums);
    return rc ? an_error_prefix(rc, "'%s': statistics", d->data) : AN_OK;
}

/* an_writer_finish makes the file long enough to hold its last page, so a shorter one was cut off. */
static int check_size(const an_dataset *d)
{
    if (d->file.last_page < d->file.size / d->file.page_size)
        return AN_OK;
    return an_error(AN_ECORRUPT, "'%s' is truncated: %llu bytes hold fewer than its %llu pages: copy it again", d->data,
                    (unsigned long long)d->file.size, (unsigned long long)d->file.last_page + 1);
}

/* The counts decide how much is allocated, so they must not exceed what the file has room for. */
static int check_counts(const an_dataset *d)
{
    if (d->side == 0 || d->side > AN_IMAGE_SIDE_MAX)
        return an_dataset_damaged(d, "impossible side of records");
    if (d->count > d->file.size / AN_RECORD_HEADER_SIZE || d->reject_count > d->file.size / 8)
        return an_dataset_damaged(d, "more records declared than it has room for");
    return AN_OK;
}

int an_dataset_load_meta(an_dataset *d)
{
    meta m = {.dataset = d};
    int rc = an_lmdb_file_walk(&d->file, AN_DATASET_LAYOUT_META, visit_meta, &m);
    if (!rc)
        rc = check_meta(d, &m);
    if (!rc)
        rc = check_size(d);
    if (rc)
        return rc;
    d->side = an_bytes_u32(m.values[SIDE].value);
    d->count = an_bytes_u64(m.values[COUNT].value);
    d->reject_count = an_bytes_u64(m.values[REJECTS].value);
    d->headers = an_bytes_u64(m.values[HEADERS].value);
    d->checksum = an_bytes_u64(m.values[CHECKSUM].value);
    rc = check_counts(d);
    if (rc)
        return rc;
    d->manifest = strndup((const char *)m.values[MANIFEST].value, m.values[MANIFEST].length);
    return d->manifest ? load_statistics(d, &m.values[SUMS]) : an_error(AN_ENOMEM, "out of memory: '%s'", d->data);
}

typedef struct {
    an_dataset *dataset;
    an_dataset_layout_checksum *checksum;
    XXH3_state_t *labelled;                    /* labels and names, for the fingerprint */
    uint64_t records, names, classes, rejects; /* seen so far */
} loading;

/* Keys must count from 0 without a gap, in a database of at most `limit` items. */
static bool is_next(const an_lmdb_item *item, uint32_t key_size, uint64_t *seen, uint64_t limit)
{
    bool next = item->key_size == key_size && *seen < limit && an_bytes_key(item->key, key_size) == *seen;
    *seen += next;
    return next;
}

static int load_record(loading *l, const an_lmdb_item *item)
{
    an_dataset *d = l->dataset;
    if (!is_next(item, 8, &l->records, d->count) || item->length < AN_RECORD_HEADER_SIZE ||
        item->length > AN_RECORD_HEADER_SIZE + AN_RECORD_PAYLOAD_MAX)
        return an_dataset_damaged(d, "its records are not numbered in order, or of impossible size");
    an_index_entry *entry = &d->index[l->records - 1];
    entry->offset = item->offset;
    entry->length = item->length;
    if (entry->length > d->record_max)
        d->record_max = entry->length;
    return AN_OK;
}

static int load_name(loading *l, const an_lmdb_item *item)
{
    an_dataset *d = l->dataset;
    if (!is_next(item, 8, &l->names, d->count) || item->length < 4 || item->length > UINT16_MAX)
        return an_dataset_damaged(d, "its names are not numbered in order, or of impossible size");
    d->names[l->names - 1] = (item->offset + 4) << 16 | (item->length - 4);
    uint32_t label = an_bytes_u32(value_of(d, item));
    if (label >= d->class_count) /* classes come before names */
        return an_dataset_damaged(d, "a record's label has no class");
    d->index[l->names - 1].label = label;
    d->classes[label].count++;
    uint8_t length[4];
    an_bytes_put_u32(length, item->length);
    (void)XXH3_64bits_update(l->labelled, length, sizeof length); /* fails only for NULL arguments */
    (void)XXH3_64bits_update(l->labelled, value_of(d, item), item->length);
    return AN_OK;
}

static int allocate_classes(an_dataset *d, uint64_t count)
{
    if (count > UINT32_MAX)
        return an_dataset_damaged(d, "too many classes");
    d->classes = calloc(count, sizeof *d->classes);
    d->class_count = (uint32_t)count;
    return d->classes ? AN_OK : an_error(AN_ENOMEM, "out of memory: classes of '%s'", d->data);
}

static int load_class(loading *l, const an_lmdb_item *item)
{
    an_dataset *d = l->dataset;
    int rc = d->classes ? AN_OK : allocate_classes(d, item->entries);
    if (rc)
        return rc;
    if (!is_next(item, 4, &l->classes, d->class_count) || !memchr(value_of(d, item), '\0', item->length))
        return an_dataset_damaged(d, "its classes are not numbered in order, or have no name");
    char *text = malloc((size_t)item->length + 1);
    if (!text)
        return an_error(AN_ENOMEM, "out of memory: classes of '%s'", d->data);
    memcpy(text, value_of(d, item), item->length);
    text[item->length] = '\0';
    d->classes[l->classes - 1] = (an_class){.id = text, .name = text + strlen(text) + 1};
    return AN_OK;
}

static int load_reject(loading *l, const an_lmdb_item *item)
{
    an_dataset *d = l->dataset;
    if (!is_next(item, 8, &l->rejects, d->reject_count) || item->length > UINT16_MAX)
        return an_dataset_damaged(d, "its rejected inputs are not numbered in order, or of impossible size");
    d->rejects[l->rejects - 1] = item->offset << 16 | item->length;
    return AN_OK;
}

static int load_item(void *context, const an_lmdb_item *item)
{
    static const struct {
        const char *database;
        int (*load)(loading *, const an_lmdb_item *);
    } loaders[] = {{AN_DATASET_LAYOUT_RECORDS, load_record},
                   {AN_DATASET_LAYOUT_NAMES, load_name},
                   {AN_DATASET_LAYOUT_CLASSES, load_class},
                   {AN_DATASET_LAYOUT_REJECTED, load_reject}};
    loading *l = context;
    an_dataset_layout_checksum_add(l->checksum, &l->dataset->file, item);
    for (size_t i = 0; i < sizeof loaders / sizeof *loaders; i++)
        if (strcmp(item->database, loaders[i].database) == 0)
            return loaders[i].load(l, item);
    return AN_OK; /* meta: an_dataset_load_meta has read it */
}

static int check_loaded(const loading *l)
{
    const an_dataset *d = l->dataset;
    if (l->records != d->count || l->names != d->count || l->rejects != d->reject_count)
        return an_dataset_damaged(d, "some records, names or rejected inputs are missing");
    if (an_dataset_layout_checksum_value(l->checksum) != d->checksum)
        return an_dataset_damaged(d, "the checksum over index, names and classes does not match");
    return AN_OK;
}

/* One more than needed, because calloc may return NULL for a size of 0. */
static int allocate_index(an_dataset *d)
{
    d->index = calloc(d->count + 1, sizeof *d->index);
    d->names = calloc(d->count + 1, sizeof *d->names);
    d->rejects = calloc(d->reject_count + 1, sizeof *d->rejects);
    return d->index && d->names && d->rejects ? AN_OK : an_error(AN_ENOMEM, "out of memory: index of '%s'", d->data);
}

int an_dataset_load_index(an_dataset *d)
{
    loading l = {.dataset = d, .labelled = XXH3_createState()};
    int rc = allocate_index(d);
    if (!rc && (!l.labelled || XXH3_64bits_reset(l.labelled) != XXH_OK))
        rc = an_error(AN_ENOMEM, "out of memory: fingerprint of '%s'", d->data);
    if (!rc)
        rc = an_dataset_layout_checksum_create(&l.checksum);
    if (!rc)
        rc = an_lmdb_file_walk(&d->file, NULL, load_item, &l);
    if (!rc)
        rc = check_loaded(&l);
    if (!rc)
        d->labelled = XXH3_64bits_digest(l.labelled);
    (void)XXH3_freeState(l.labelled); /* always XXH_OK */
    an_dataset_layout_checksum_free(l.checksum);
    return rc;
}
