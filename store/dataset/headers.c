#include "store/dataset/headers.h"

#include <stdlib.h>

#include "base/error.h"
#include "store/dataset/dataset_private.h"
#include "store/dataset/layout_private.h"

enum { WORD = 64 };

struct an_dataset_headers {
    const an_dataset *dataset;
    uint64_t sum, missing;
    bool compared;
    uint64_t *seen; /* a bit for each record */
};

int an_dataset_headers_create(an_dataset_headers **out, const an_dataset *dataset)
{
    *out = NULL;
    uint64_t count = an_dataset_count(dataset);
    an_dataset_headers *h = calloc(1, sizeof *h);
    if (h)
        h->seen = calloc(count / WORD + 1, sizeof *h->seen);
    if (!h || !h->seen) {
        an_dataset_headers_free(h);
        return an_error(AN_ENOMEM, "out of memory to check %llu records", (unsigned long long)count);
    }
    h->dataset = dataset;
    h->missing = count;
    *out = h;
    return AN_OK;
}

void an_dataset_headers_free(an_dataset_headers *headers)
{
    if (!headers)
        return;
    free(headers->seen);
    free(headers);
}

uint64_t an_dataset_headers_hash(const uint8_t *header, uint64_t index)
{
    return an_dataset_layout_header_sum(header, index);
}

void an_dataset_headers_add(an_dataset_headers *h, uint64_t index, uint64_t hash)
{
    uint64_t bit = UINT64_C(1) << index % WORD;
    if (h->compared || (h->seen[index / WORD] & bit))
        return;
    h->seen[index / WORD] |= bit;
    h->sum += hash;
    h->missing--;
}

/* Take the headers that were not read yet from the file. */
static void add_missing(an_dataset_headers *h)
{
    const an_dataset *d = h->dataset;
    for (uint64_t i = 0; i < d->count; i++)
        if (!(h->seen[i / WORD] >> i % WORD & 1))
            an_dataset_headers_add(h, i, an_dataset_headers_hash(d->file.data + d->index[i].offset, i));
}

int an_dataset_headers_compare(an_dataset_headers *h, uint64_t missing_max)
{
    if (h->compared || h->missing > missing_max)
        return AN_OK;
    if (h->missing)
        add_missing(h);
    h->compared = true;
    return h->sum == h->dataset->headers
               ? AN_OK
               : an_dataset_damaged(h->dataset, "records were exchanged or repeated: an index leads to another record "
                                                "than the one that was written");
}
