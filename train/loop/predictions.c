#include "train/loop/predictions.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/error.h"

/* The order of predictions.h. */
static bool is_before(const float *probabilities, uint32_t a, uint32_t b)
{
    return probabilities[a] > probabilities[b] || (probabilities[a] == probabilities[b] && a < b);
}

int an_prediction_check(uint64_t index, const float *probabilities, uint32_t classes)
{
    for (uint32_t c = 0; c < classes; c++)
        if (!isfinite(probabilities[c]))
            return an_error(AN_ECORRUPT,
                            "record %" PRIu64 ": the network's output is not finite (class %" PRIu32
                            "): its weights are damaged or its training diverged; use an earlier checkpoint",
                            index, c);
    return AN_OK;
}

int an_prediction_make(an_prediction *out, uint64_t index, uint32_t label, const float *probabilities, uint32_t classes)
{
    int rc = an_prediction_check(index, probabilities, classes);
    if (rc)
        return rc;
    *out = (an_prediction){.index = index, .label = label};
    out->count = classes < AN_PREDICTION_TOP ? classes : AN_PREDICTION_TOP;
    uint32_t filled = 0;
    for (uint32_t c = 0; c < classes; c++) {
        uint32_t at = filled < out->count ? filled++ : out->count;
        for (; at > 0 && is_before(probabilities, c, out->top[at - 1]); at--)
            if (at < out->count)
                out->top[at] = out->top[at - 1];
        if (at < out->count)
            out->top[at] = c;
    }
    for (uint32_t i = 0; i < out->count; i++)
        out->probability[i] = probabilities[out->top[i]];
    return AN_OK;
}

uint32_t an_prediction_rank(const float *probabilities, uint32_t classes, uint32_t label)
{
    uint32_t before = 0;
    for (uint32_t c = 0; c < classes; c++)
        before += is_before(probabilities, c, label);
    return before;
}

int an_confusion_init(an_confusion *confusion, uint32_t classes)
{
    confusion->classes = classes;
    confusion->counts = calloc((size_t)classes * classes, sizeof(*confusion->counts));
    return confusion->counts ? AN_OK : an_error(AN_ENOMEM, "out of memory for %u x %u classes", classes, classes);
}

void an_confusion_free(an_confusion *confusion)
{
    free(confusion->counts);
    confusion->counts = NULL;
}

void an_confusion_add(an_confusion *confusion, uint32_t label, uint32_t predicted)
{
    confusion->counts[(size_t)label * confusion->classes + predicted]++;
}

uint64_t an_confusion_total(const an_confusion *confusion, uint32_t label)
{
    uint64_t total = 0;
    for (uint32_t c = 0; c < confusion->classes; c++)
        total += confusion->counts[(size_t)label * confusion->classes + c];
    return total;
}

uint64_t an_confusion_correct(const an_confusion *confusion, uint32_t label)
{
    return confusion->counts[(size_t)label * confusion->classes + label];
}

/* Put item in its place in a list sorted by count, which holds at most wanted. */
static size_t insert(an_confused *list, size_t filled, size_t wanted, an_confused item)
{
    size_t at = filled < wanted ? filled++ : wanted;
    for (; at > 0 && item.count > list[at - 1].count; at--)
        if (at < wanted)
            list[at] = list[at - 1];
    if (at < wanted)
        list[at] = item;
    return filled;
}

size_t an_confusion_worst(const an_confusion *confusion, an_confused *out, size_t wanted)
{
    size_t filled = 0;
    for (uint32_t label = 0; label < confusion->classes; label++)
        for (uint32_t c = 0; c < confusion->classes; c++) {
            uint64_t count = confusion->counts[(size_t)label * confusion->classes + c];
            if (c != label && count > 0)
                filled = insert(out, filled, wanted, (an_confused){label, c, count});
        }
    return filled;
}
