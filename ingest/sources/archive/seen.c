#include "ingest/sources/archive/seen_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static bool is_free(const XXH128_hash_t *slot)
{
    return !slot->low64 && !slot->high64;
}

/* The place of hash: where it stands, or the free one where it would. */
static uint64_t place_of(const an_seen *seen, XXH128_hash_t hash)
{
    uint64_t at = hash.low64 & (seen->room - 1);
    while (!is_free(&seen->slots[at]) && !XXH128_isEqual(seen->slots[at], hash))
        at = (at + 1) & (seen->room - 1);
    return at;
}

static int grow(an_seen *seen)
{
    if (seen->room && seen->count < seen->room / 4 * 3)
        return AN_OK;
    an_seen larger = {.room = seen->room ? 2 * seen->room : 1024, .count = seen->count};
    larger.slots = calloc(larger.room, sizeof(*larger.slots));
    if (!larger.slots)
        return an_error(AN_ENOMEM, "out of memory for the names of %llu inputs", (unsigned long long)seen->count);
    for (uint64_t i = 0; i < seen->room; i++)
        if (!is_free(&seen->slots[i]))
            larger.slots[place_of(&larger, seen->slots[i])] = seen->slots[i];
    free(seen->slots);
    *seen = larger;
    return AN_OK;
}

static XXH128_hash_t hash_of(const char *text, size_t length)
{
    XXH128_hash_t hash = XXH3_128bits(text, length);
    hash.low64 += is_free(&hash); /* all zeros marks a free place */
    return hash;
}

int an_seen_add(an_seen *seen, const char *text, size_t length, bool *before)
{
    int rc = grow(seen);
    if (rc)
        return rc;
    XXH128_hash_t hash = hash_of(text, length);
    uint64_t at = place_of(seen, hash);
    *before = !is_free(&seen->slots[at]);
    seen->count += !*before;
    seen->slots[at] = hash;
    return AN_OK;
}

bool an_seen_has(const an_seen *seen, const char *text, size_t length)
{
    return seen->room && !is_free(&seen->slots[place_of(seen, hash_of(text, length))]);
}

void an_seen_free(an_seen *seen)
{
    free(seen->slots);
    memset(seen, 0, sizeof(*seen));
}
