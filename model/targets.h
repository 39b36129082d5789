/* What a row of outputs is compared with, as the loss ops of all backends compute it. With smoothing s, C classes,
 * class weights w (1 without), and the own label's share:
 *
 *   q_c = (1 - s) (share [c = label] + (1 - share) [c = other]) + s / C
 *   loss = sum over rows and over c of w_c q_c (-log p_c), divided by total
 *   gradient of the logit x_c = (p_c sum over k of w_k q_k - w_c q_c) / total
 *
 * For rows that are not mixed this is torch.nn.CrossEntropyLoss(weight, label_smoothing, reduction="mean"). */
#ifndef AN_MODEL_TARGETS_H
#define AN_MODEL_TARGETS_H

#include "model/backend.h"

/* Whether image i of a batch of count gets something of its partner. */
static inline bool an_image_mixes(const an_image_draw *draw, uint32_t i, uint32_t count)
{
    return draw->share < 1 && (i ^ 1) < count;
}

static inline bool an_images_mix(const an_image_draw *draws, uint32_t count)
{
    for (uint32_t i = 0; draws && i < count; i++)
        if (an_image_mixes(&draws[i], i, count))
            return true;
    return false;
}

typedef struct {
    double smoothing;
    const double *weights; /* of each class; NULL: all 1 */
    int classes;
} an_target_rule;

/* One row: w_c q_c is own at the label, plus rest at the other one, plus smooth * w_c. sum is that over all classes. */
typedef struct {
    uint32_t label, other;
    double own, rest, smooth, sum;
} an_target;

static inline double an_target_weight(const an_target_rule *rule, uint32_t label)
{
    return rule->weights ? rule->weights[label] : 1;
}

static inline double an_target_weights_sum(const an_target_rule *rule)
{
    double sum = 0;
    for (int c = 0; c < rule->classes; c++)
        sum += an_target_weight(rule, (uint32_t)c);
    return sum;
}

/* weights_sum: an_target_weights_sum. */
static inline an_target an_target_of(const an_target_rule *rule, double weights_sum, const an_targets *targets,
                                     uint32_t row)
{
    double share = targets->shares ? (double)targets->shares[row] : 1;
    an_target t = {.label = targets->labels[row], .smooth = rule->smoothing / rule->classes};
    t.other = targets->others ? targets->others[row] : t.label;
    if (targets->plain)
        return (an_target){.label = t.label, .other = t.other, .own = share, .rest = 1 - share, .sum = 1};
    t.own = (1 - rule->smoothing) * share * an_target_weight(rule, t.label);
    t.rest = (1 - rule->smoothing) * (1 - share) * an_target_weight(rule, t.other);
    t.sum = t.own + t.rest + t.smooth * weights_sum;
    return t;
}

#endif
