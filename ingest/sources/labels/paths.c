#include "ingest/sources/labels/paths_private.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"

static an_path_class *slot_of(const an_paths *paths, XXH128_hash_t hash)
{
    uint64_t at = hash.low64 & (paths->room - 1);
    while (paths->slots[at].line && !XXH128_isEqual(paths->slots[at].hash, hash))
        at = (at + 1) & (paths->room - 1);
    return &paths->slots[at];
}

static int grow(an_paths *paths)
{
    if (paths->count < paths->room / 4 * 3)
        return AN_OK;
    an_paths larger = {.room = paths->room ? 2 * paths->room : 1024, .count = paths->count};
    larger.slots = calloc(larger.room, sizeof(*larger.slots));
    if (!larger.slots)
        return an_error(AN_ENOMEM, "out of memory for %llu paths", (unsigned long long)paths->count);
    for (uint64_t i = 0; i < paths->room; i++)
        if (paths->slots[i].line)
            *slot_of(&larger, paths->slots[i].hash) = paths->slots[i];
    free(paths->slots);
    *paths = larger;
    return AN_OK;
}

int an_paths_add(an_paths *paths, const char *path, uint32_t label, uint32_t line, const an_path_class **known)
{
    int rc = grow(paths);
    if (rc)
        return rc;
    XXH128_hash_t hash = XXH3_128bits(path, strlen(path));
    an_path_class *slot = slot_of(paths, hash);
    if (!slot->line) {
        *slot = (an_path_class){hash, label, line};
        paths->count++;
    }
    *known = slot;
    return AN_OK;
}

void an_paths_free(an_paths *paths)
{
    free(paths->slots);
    memset(paths, 0, sizeof(*paths));
}
