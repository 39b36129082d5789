#include "train/advice/guard.h"

#include <math.h>
#include <stdio.h>

#define NEARLY_ALL 0.95

double an_guard_guessing(const uint64_t *images, int classes)
{
    uint64_t all = 0;
    double entropy = 0;
    for (int i = 0; i < classes; i++)
        all += images[i];
    for (int i = 0; i < classes; i++)
        if (images[i])
            entropy += (double)images[i] / (double)all * log((double)all / (double)images[i]);
    return entropy;
}

an_guard an_guard_make(int classes, double guessing)
{
    return (an_guard){.classes = classes, .guessing = guessing};
}

static bool near(double loss, double level)
{
    return fabs(loss - level) < 0.01 * level;
}

bool an_guard_observe(an_guard *guard, double loss)
{
    guard->sum += loss;
    if (++guard->in_window < AN_GUARD_WINDOW)
        return false;
    double chance = log(guard->classes), mean = guard->sum / AN_GUARD_WINDOW;
    guard->level = near(mean, chance) ? chance : near(mean, guard->guessing) ? guard->guessing : 0;
    guard->flat_steps = guard->level > 0 ? guard->flat_steps + AN_GUARD_WINDOW : 0;
    guard->sum = 0;
    guard->in_window = 0;
    if (guard->flat_steps < AN_GUARD_FLAT || guard->told)
        return false;
    guard->told = true;
    return true;
}

/* The first likely cause, unless all is well there. */
static const char *cause(const an_guard_setting *setting)
{
    if (setting->paper_init)
        return "the paper's initial weights let the signal die at small inputs (use --init he); ";
    return setting->unit_inputs ? "" : "inputs far from unit deviation (use --input-scale unit); ";
}

void an_guard_explain(const an_guard *guard, const an_guard_setting *setting, char *text, size_t size)
{
    char labels[192] = "", level[48] = "the entropy of the labels";
    if (!setting->overfit)
        snprintf(labels, sizeof(labels),
                 "; labels that do not belong to the images (give the same command --overfit 50%s, and no --run: a "
                 "network that works learns these images by heart)",
                 setting->paper_init ? " --init he" : "");
    if (guard->level != guard->guessing)
        snprintf(level, sizeof(level), "ln(%d)", guard->classes);
    snprintf(text, size,
             "the loss has stayed at %s = %.3f, the loss of guessing, for %u steps: the network does not start. Likely "
             "causes: %sa rate too low or too high (now %g: try a third or three times of it)%s",
             level, guard->level, guard->flat_steps, cause(setting), setting->rate, labels);
}

bool an_guard_judge_overfit(const an_guard_setting *setting, double top1, char *text, size_t size)
{
    bool sound = top1 >= NEARLY_ALL;
    if (sound)
        snprintf(text, size, "the network has learned %.0f %% of its %d images by heart, as one that works does",
                 100 * top1, setting->overfit);
    else
        snprintf(text, size,
                 "the network has learned only %.0f %% of its %d images by heart, where one that works learns nearly "
                 "all. Likely causes: %sa rate too low or too high (--rate %g: try a third or three times of it); "
                 "too few --epochs%s; the network itself",
                 100 * top1, setting->overfit, cause(setting), setting->rate,
                 setting->falls ? ", a rate that falls (use --schedule constant)" : "");
    return sound;
}
