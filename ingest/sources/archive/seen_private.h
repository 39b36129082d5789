/* A set of texts that only grows, kept as 128-bit hashes: 21 to 43 bytes for each, whatever their length. That two
 * texts have the same hash is taken to mean that they are equal. One thread. */
#ifndef AN_INGEST_SOURCES_ARCHIVE_SEEN_PRIVATE_H
#define AN_INGEST_SOURCES_ARCHIVE_SEEN_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <xxhash.h>

typedef struct {
    XXH128_hash_t *slots;
    uint64_t room, count; /* room: a power of two */
} an_seen;                /* zeros to begin with */

/* Add the text. *before: was it there already? */
int an_seen_add(an_seen *seen, const char *text, size_t length, bool *before);
bool an_seen_has(const an_seen *seen, const char *text, size_t length);
void an_seen_free(an_seen *seen);

#endif
