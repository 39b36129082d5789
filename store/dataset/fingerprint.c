/* How a fingerprint is made. It has two halves:
 *
 *   upper 32 bits   which pictures: side, count, ids of the classes, label and name of every record in order, and the
 *                   kind of codec. A lossless transcode leaves all of this as it is.
 *   lower 32 bits   which bytes: the sum over the records' headers, which hold the checksums of the payloads, and the
 *                   sums of pixels.
 *
 * No record is read for it: everything comes from what opening reads anyway.
 *
 * A dataset that was made from another one names that one's fingerprint in its manifest. If the upper half there is the
 * dataset's own, both hold the same pictures in the same order in codecs between which nothing is lost: then it takes
 * over the whole fingerprint. So it goes from one transcode to the next, any number of times. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <xxhash.h>

#include "base/bytes.h"
#include "base/error.h"
#include "store/codec.h"
#include "store/dataset/dataset_private.h"
#include "store/dataset/manifest_private.h"

static int start_hash(const an_dataset *d, XXH3_state_t **out)
{
    *out = XXH3_createState();
    if (*out && XXH3_64bits_reset(*out) == XXH_OK)
        return AN_OK;
    (void)XXH3_freeState(*out);
    *out = NULL;
    return an_error(AN_ENOMEM, "out of memory: fingerprint of '%s'", d->data);
}

static uint64_t finish_hash(XXH3_state_t *state)
{
    uint64_t hash = XXH3_64bits_digest(state);
    (void)XXH3_freeState(state); /* always XXH_OK */
    return hash;
}

/* Updates fail only for NULL arguments. */
static void hash_u64(XXH3_state_t *state, uint64_t value)
{
    uint8_t bytes[8];
    an_bytes_put_u64(bytes, value);
    (void)XXH3_64bits_update(state, bytes, sizeof bytes);
}

static void hash_text(XXH3_state_t *state, const char *text)
{
    (void)XXH3_64bits_update(state, text, strlen(text) + 1);
}

bool an_dataset_codec(const an_dataset *d, an_codec *out)
{
    char name[32];
    size_t i = 0;
    if (!an_manifest_string(d->manifest, "codec", name, sizeof name))
        return false;
    while (i < an_codec_count() && strcmp(an_codec_name(an_codec_at(i)), name) != 0)
        i++;
    if (i == an_codec_count())
        return false;
    *out = an_codec_at(i);
    return true;
}

/* The first codec in the table that all the records can be turned into without loss, so that jpeg and coef give the
 * same; "" if the manifest does not name one codec for all records. */
static const char *codec_kind(const an_dataset *d)
{
    an_codec own;
    size_t first = 0;
    if (!an_dataset_codec(d, &own))
        return "";
    while (!an_codec_lossless(own, an_codec_at(first)))
        first++;
    return an_codec_name(an_codec_at(first));
}

static int hash_pictures(const an_dataset *d, const char *kind, uint32_t *out)
{
    XXH3_state_t *state;
    int rc = start_hash(d, &state);
    if (rc)
        return rc;
    hash_u64(state, d->side);
    hash_u64(state, d->count);
    hash_u64(state, d->labelled);
    for (uint32_t i = 0; i < d->class_count; i++)
        hash_text(state, d->classes[i].id);
    hash_text(state, kind);
    *out = (uint32_t)finish_hash(state);
    return AN_OK;
}

static int hash_bytes(const an_dataset *d, uint32_t *out)
{
    XXH3_state_t *state;
    int rc = start_hash(d, &state);
    if (rc)
        return rc;
    hash_u64(state, d->headers);
    hash_u64(state, d->sums);
    *out = (uint32_t)finish_hash(state);
    return AN_OK;
}

/* The fingerprint of the dataset that this one was made from, record by record. */
static bool origin(const an_dataset *d, uint64_t *out)
{
    char text[32], *end;
    if (!an_manifest_string(d->manifest, "source", text, sizeof text) || strcmp(text, "dataset") != 0)
        return false;
    if (!an_manifest_string(d->manifest, "order", text, sizeof text) || strcmp(text, "source") != 0)
        return false;
    if (!an_manifest_string(d->manifest, "listing", text, sizeof text))
        return false;
    *out = strtoull(text, &end, 16);
    return end != text && *end == '\0';
}

int an_dataset_compute_fingerprint(an_dataset *d)
{
    uint32_t pictures, bytes;
    uint64_t from;
    const char *kind = codec_kind(d);
    int rc = hash_pictures(d, kind, &pictures);
    if (rc)
        return rc;
    rc = hash_bytes(d, &bytes);
    if (rc)
        return rc;
    d->fingerprint = (uint64_t)pictures << 32 | bytes;
    if (*kind && origin(d, &from) && from >> 32 == pictures)
        d->fingerprint = from;
    return AN_OK;
}

uint64_t an_dataset_fingerprint(const an_dataset *d)
{
    return d->fingerprint;
}

/* The form of earlier versions: over the manifest, and each record's label and length. */
static int former_fingerprint(const an_dataset *d, uint64_t *out)
{
    XXH3_state_t *state;
    int rc = start_hash(d, &state);
    if (rc)
        return rc;
    (void)XXH3_64bits_update(state, d->manifest, strlen(d->manifest));
    hash_u64(state, d->count);
    for (uint64_t i = 0; i < d->count; i++)
        hash_u64(state, d->index[i].label | (uint64_t)d->index[i].length << 32);
    *out = finish_hash(state);
    return AN_OK;
}

int an_dataset_fingerprint_matches(const an_dataset *d, uint64_t stored, bool *out)
{
    uint64_t former;
    *out = stored == d->fingerprint;
    if (*out)
        return AN_OK;
    int rc = former_fingerprint(d, &former);
    if (!rc)
        *out = stored == former;
    return rc;
}
