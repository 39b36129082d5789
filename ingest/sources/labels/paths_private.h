/* Which class each path of a list has: it tells whether a path that comes again has another one. Paths are kept as
 * 128-bit hashes, 32 to 64 bytes for each; that two have the same hash is taken to mean that they are equal. One
 * thread.
 */
#ifndef AN_INGEST_SOURCES_LABELS_PATHS_PRIVATE_H
#define AN_INGEST_SOURCES_LABELS_PATHS_PRIVATE_H

#include <stdint.h>
#include <xxhash.h>

typedef struct {
    XXH128_hash_t hash;   /* of the path */
    uint32_t label, line; /* of the first line that names it; line 0: a free slot */
} an_path_class;

typedef struct {
    an_path_class *slots;
    uint64_t room, count; /* room: a power of two */
} an_paths;               /* zeros to begin with */

/* Add a path that has this label in this line (1 or more), unless it is there. *known: the one that is there now, valid
 * until the next call. */
int an_paths_add(an_paths *paths, const char *path, uint32_t label, uint32_t line, const an_path_class **known);
void an_paths_free(an_paths *paths);

#endif
