#include "train/loop/predictions.h"

#include <stdlib.h>

#include "base/error.h"

an_prediction an_prediction_make(uint64_t index, uint32_t label, const float *probabilities, uint32_t classes)
{
    an_prediction p = {.index = index, .label = label};
    p.count = classes < AN_PREDICTION_TOP ? classes : AN_PREDICTION_TOP;
    uint32_t filled = 0;
    for (uint32_t c = 0; c < classes; c++) {
        uint32_t at = filled < p.count ? filled++ : p.count;
        for (; at > 0 && probabilities[c] > p.probability[at - 1]; at--)
            if (at < p.count) {
                p.top[at] = p.top[at - 1];
                p.probability[at] = p.probability[at - 1];
            }
        if (at < p.count) {
            p.top[at] = c;
            p.probability[at] = probabilities[c];
        }
    }
    return p;
}

uint32_t an_prediction_rank(const float *probabilities, uint32_t classes, uint32_t label)
{
    uint32_t before = 0;
    for (uint32_t c = 0; c < classes; c++)
        before += probabilities[c] > probabilities[label] || (probabilities[c] == probabilities[label] && c < label);
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

/* Sorted insertion into a list of at most wanted. */
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
