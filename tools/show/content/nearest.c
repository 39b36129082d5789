#include "tools/show/content/nearest.h"

#include <cblas.h>
#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/thread.h"

#define BLOCK 1024 /* rows of the file compared at a time */
#define SPARE 16   /* rows kept beyond the wanted ones: float products may order close ones wrongly */

typedef struct {
    uint64_t index;
    float score; /* squared distance without the query's own square: enough to order by */
} candidate;

typedef struct {
    const an_features *base;
    const float *queries;
    uint32_t count, units, kept;
    float *rows, *squares, *products; /* of a block: BLOCK x units, BLOCK, count x BLOCK */
    candidate *candidates;            /* count x kept, best first */
} search;

/* Squares below this and their products keep all scores finite in float. */
#define SQUARE_MAX (FLT_MAX / 8)

/* The square of a row of features. row and what are for the message. */
static int square_of(const search *s, const float *features, uint64_t row, const char *what, float *out)
{
    double square = cblas_dsdot((int)s->units, features, 1, features, 1);
    if (!(square < SQUARE_MAX))
        return an_error(AN_ECORRUPT, "the features of %s %" PRIu64 " are too large to compare", what, row);
    *out = (float)square;
    return AN_OK;
}

static int queries_check(const search *s)
{
    int rc = AN_OK;
    float square;
    for (uint32_t q = 0; !rc && q < s->count; q++)
        rc = square_of(s, s->queries + (size_t)q * s->units, q, "query", &square);
    return rc;
}

static int search_open(search *s)
{
    size_t rows = 0, products = 0;
    int rc = an_size_multiply((size_t)BLOCK * sizeof(float), s->units, &rows);
    if (!rc)
        rc = an_size_multiply((size_t)BLOCK * sizeof(float), s->count, &products);
    if (rc < 0)
        return rc;
    s->rows = malloc(rows);
    s->squares = malloc(BLOCK * sizeof(float));
    s->products = malloc(products);
    s->candidates = malloc((size_t)s->count * s->kept * sizeof(*s->candidates));
    if (!s->rows || !s->squares || !s->products || !s->candidates)
        return an_error(AN_ENOMEM, "out of memory for %u queries at a time", s->count);
    for (size_t i = 0; i < (size_t)s->count * s->kept; i++)
        s->candidates[i] = (candidate){UINT64_MAX, INFINITY};
    return AN_OK;
}

static void search_close(search *s)
{
    free(s->rows);
    free(s->squares);
    free(s->products);
    free(s->candidates);
}

static void candidate_insert(candidate *list, uint32_t kept, candidate c)
{
    uint32_t at = kept - 1;
    for (; at > 0 && c.score < list[at - 1].score; at--)
        list[at] = list[at - 1];
    list[at] = c;
}

static void block_select(const search *s, uint64_t first, uint32_t rows)
{
    for (uint32_t q = 0; q < s->count; q++) {
        candidate *list = s->candidates + (size_t)q * s->kept;
        const float *products = s->products + (size_t)q * BLOCK;
        float worst = list[s->kept - 1].score;
        for (uint32_t i = 0; i < rows; i++) {
            float score = s->squares[i] - 2 * products[i];
            if (score < worst) {
                candidate_insert(list, s->kept, (candidate){first + i, score});
                worst = list[s->kept - 1].score;
            }
        }
    }
}

static int block_compare(const search *s, uint64_t first, uint32_t rows)
{
    int rc = an_features_read(s->base, first, rows, s->rows);
    if (rc < 0)
        return rc;
    int units = (int)s->units;
    for (uint32_t i = 0; !rc && i < rows; i++)
        rc = square_of(s, s->rows + (size_t)i * s->units, first + i, "image", &s->squares[i]);
    if (rc)
        return rc;
    cblas_sgemm(CblasRowMajor, CblasNoTrans, CblasTrans, (int)s->count, (int)rows, units, 1, s->queries, units, s->rows,
                units, 0, s->products, BLOCK);
    block_select(s, first, rows);
    return AN_OK;
}

static double distance(const float *a, const float *b, uint32_t units)
{
    double sum = 0;
    for (uint32_t i = 0; i < units; i++)
        sum += ((double)a[i] - (double)b[i]) * ((double)a[i] - (double)b[i]);
    return sqrt(sum);
}

static int by_distance(const void *a, const void *b)
{
    const an_neighbor *x = a, *y = b;
    if (x->distance != y->distance)
        return x->distance < y->distance ? -1 : 1;
    return (x->index > y->index) - (x->index < y->index);
}

/* The candidates of one query in their true order. */
static int refine(const search *s, uint32_t q, uint32_t wanted, an_neighbor *space, an_neighbor *out)
{
    int rc;
    for (uint32_t i = 0; i < s->kept; i++) {
        space[i].index = s->candidates[(size_t)q * s->kept + i].index;
        rc = an_features_read(s->base, space[i].index, 1, s->rows);
        if (rc)
            return rc;
        space[i].distance = distance(s->queries + (size_t)q * s->units, s->rows, s->units);
    }
    qsort(space, s->kept, sizeof(*space), by_distance);
    memcpy(out, space, wanted * sizeof(*out));
    return AN_OK;
}

static int search_run(search *s, uint32_t wanted, an_neighbor *out)
{
    uint64_t total = an_features_count(s->base);
    an_neighbor *space = malloc(s->kept * sizeof(*space));
    int rc = space ? AN_OK : an_error(AN_ENOMEM, "out of memory for neighbours");
    for (uint64_t first = 0; !rc && first < total; first += BLOCK)
        rc = block_compare(s, first, (uint32_t)(total - first < BLOCK ? total - first : BLOCK));
    for (uint32_t q = 0; !rc && q < s->count; q++)
        rc = refine(s, q, wanted, space, out + (size_t)q * wanted);
    free(space);
    return rc;
}

int an_nearest_find(const an_features *base, const float *queries, uint32_t count, uint32_t wanted, int threads,
                    an_neighbor *out)
{
    uint64_t total = an_features_count(base);
    if (wanted < 1 || wanted > total)
        return an_error(AN_EINVAL, "%u nearest of %llu images: there are not so many", wanted,
                        (unsigned long long)total);
    uint64_t kept = wanted + SPARE < total ? wanted + SPARE : total;
    search s = {base, queries, count, an_features_units(base), (uint32_t)kept, NULL, NULL, NULL, NULL};
    openblas_set_num_threads(threads ? threads : an_thread_cpu_count());
    int rc = queries_check(&s);
    if (rc)
        return rc;
    rc = search_open(&s);
    if (!rc)
        rc = search_run(&s, wanted, out);
    search_close(&s);
    return rc;
}
