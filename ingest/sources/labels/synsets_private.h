/* The synsets of ImageNet's meta.mat that are classes, sorted by WNID. The caller frees the list. One thread at a time.
 */
#ifndef AN_INGEST_SOURCES_LABELS_SYNSETS_PRIVATE_H
#define AN_INGEST_SOURCES_LABELS_SYNSETS_PRIVATE_H

#include "base/buffer.h"

typedef struct {
    uint32_t id; /* ILSVRC2012_ID: 1 to AN_SYNSETS_ID_MAX, each once */
    char *wnid, *words;
} an_synset;

typedef struct {
    an_synset *entries;
    size_t count;
    uint32_t *by_id; /* position of an entry plus 1; 0: no class has this id */
    uint32_t id_max; /* the highest */
} an_synsets;

#define AN_SYNSETS_ID_MAX 1000000u

/* meta: the bytes of meta.mat. On failure the list is as if it were freed. */
int an_synsets_read(an_synsets *out, const an_buffer *meta);
void an_synsets_free(an_synsets *list); /* zeros are fine */

/* The class with this id; NULL if there is none. */
const an_synset *an_synsets_find(const an_synsets *list, unsigned long id);

#endif
