/* Watches the loss of a training for a network that does not begin to learn: its loss stays at that of guessing. That
 * is ln(classes) for who guesses at random, and the entropy of the labels for who has only learned how frequent they
 * are. A value without resources of its own. */
#ifndef AN_TRAIN_ADVICE_GUARD_H
#define AN_TRAIN_ADVICE_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AN_GUARD_WINDOW 100 /* steps averaged */
#define AN_GUARD_FLAT 300   /* steps near the loss of guessing after which the loss is called flat */

typedef struct {
    int classes;
    double guessing; /* by the frequencies of the classes */
    double level;    /* which of the two losses the last window was near; 0: neither */
    double sum;
    uint32_t in_window;
    uint32_t flat_steps;
    bool told;
} an_guard;

/* The loss of guessing by frequency: the entropy of the labels in nats, from the number of images of each class.
 * ln(classes) where all are as frequent. */
double an_guard_guessing(const uint64_t *images, int classes);

an_guard an_guard_make(int classes, double guessing);

/* Call with the loss of each step. Returns true once: when the loss has stayed within 1 % of a loss of guessing for
 * AN_GUARD_FLAT steps. */
bool an_guard_observe(an_guard *guard, double loss);

/* What the advice depends on. */
typedef struct {
    bool paper_init;  /* --init paper */
    bool unit_inputs; /* images are divided by their deviation */
    bool falls;       /* the rate does, sooner or later */
    int overfit;      /* --overfit */
    double rate;
} an_guard_setting;

/* Write a warning for the user to text: likely causes, and what to try with this configuration. */
void an_guard_explain(const an_guard *guard, const an_guard_setting *setting, char *text, size_t size);

/* What a run with --overfit has shown at its end, top1 of its images being right: true if it learned nearly all of
 * them, as a network that works does. text says so, or what to try. */
bool an_guard_judge_overfit(const an_guard_setting *setting, double top1, char *text, size_t size);

#endif
