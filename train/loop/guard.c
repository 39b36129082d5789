#include "train/loop/guard.h"

#include <math.h>
#include <stdio.h>

an_guard an_guard_make(int classes)
{
    return (an_guard){.classes = classes};
}

bool an_guard_observe(an_guard *guard, double loss)
{
    guard->sum += loss;
    if (++guard->in_window < AN_GUARD_WINDOW)
        return false;
    double chance = log(guard->classes), mean = guard->sum / AN_GUARD_WINDOW;
    bool flat = fabs(mean - chance) < 0.01 * chance;
    guard->flat_steps = flat ? guard->flat_steps + AN_GUARD_WINDOW : 0;
    guard->sum = 0;
    guard->in_window = 0;
    if (guard->flat_steps < AN_GUARD_FLAT || guard->told)
        return false;
    guard->told = true;
    return true;
}

void an_guard_explain(const an_guard *guard, const an_guard_setting *setting, char *text, size_t size)
{
    char labels[192] = "";
    const char *init = setting->paper_init ? " --init he" : "";
    if (!setting->overfit)
        snprintf(labels, sizeof(labels),
                 "; labels that do not belong to the images (give the same command --overfit 50%s, and no --run: a "
                 "network that works learns these images by heart)",
                 init);
    snprintf(
        text, size,
        "the loss has stayed at ln(%d) = %.3f, the loss of guessing, for %u steps: the network does not start. Likely "
        "causes: %s; a rate too low or too high (now %g: try a third or three times of it)%s",
        guard->classes, log(guard->classes), guard->flat_steps,
        setting->paper_init ? "the paper's initial weights let the signal die at small inputs (use --init he)"
                            : "inputs far from unit deviation (use --input-scale unit)",
        setting->rate, labels);
}
