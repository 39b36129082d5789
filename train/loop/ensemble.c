#include "train/loop/ensemble.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/buffer.h"
#include "base/error.h"
#include "train/loop/predictions.h"

int an_ensemble_init(an_ensemble *out, const an_dataset *dataset, uint32_t classes, uint32_t top)
{
    uint64_t images = an_dataset_count(dataset);
    size_t values;
    *out = (an_ensemble){.dataset = dataset, .classes = classes, .top = top};
    int rc = an_size_multiply(images, classes, &values);
    if (!rc)
        out->sums = calloc(values, sizeof(*out->sums));
    return out->sums ? AN_OK
                     : an_error(AN_ENOMEM, "out of memory for the predictions of %" PRIu64 " images of %u classes",
                                images, classes);
}

void an_ensemble_free(an_ensemble *ensemble)
{
    free(ensemble->sums);
    *ensemble = (an_ensemble){0};
}

static float *row_of(const an_ensemble *e, uint64_t index)
{
    return e->sums + index * e->classes;
}

/* Each network sees every image once, the last one last. */
static int add(void *context, uint64_t index, uint32_t label, const float *probabilities)
{
    an_ensemble *e = context;
    float *row = row_of(e, index);
    (void)label;
    for (uint32_t c = 0; c < e->classes; c++)
        row[c] += probabilities[c];
    e->networks += index + 1 == an_dataset_count(e->dataset);
    return AN_OK;
}

an_evaluate_watcher an_ensemble_watcher(an_ensemble *ensemble)
{
    return (an_evaluate_watcher){add, ensemble, ensemble->classes};
}

int an_ensemble_evaluate(an_ensemble *e, const an_evaluate_watcher *watcher, an_evaluation *out)
{
    uint64_t count = an_dataset_count(e->dataset);
    *out = (an_evaluation){.k = e->top};
    for (uint64_t i = 0; i < count; i++) {
        float *row = row_of(e, i);
        for (uint32_t c = 0; c < e->classes; c++)
            row[c] /= (float)e->networks;
        uint32_t label = an_dataset_index(e->dataset)[i].label;
        an_evaluation_add(out, label, row, e->classes);
        int rc = watcher->image(watcher->context, i, label, row);
        if (rc)
            return rc;
    }
    out->loss /= (double)count;
    return AN_OK;
}
