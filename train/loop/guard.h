/* Watches the loss of a training for a network that does not begin to learn: its loss stays at ln(classes), the loss of
 * guessing. */
#ifndef AN_TRAIN_LOOP_GUARD_H
#define AN_TRAIN_LOOP_GUARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AN_GUARD_WINDOW 100 /* steps averaged */
#define AN_GUARD_FLAT 300   /* steps near ln(classes) after which the loss is called flat */

typedef struct {
    int classes;
    double sum;
    uint32_t in_window;
    uint32_t flat_steps;
    bool told;
} an_guard;

an_guard an_guard_make(int classes);

/* Call with the loss of each step. Returns true once: when the loss has stayed within 1 % of ln(classes) for
 * AN_GUARD_FLAT steps. */
bool an_guard_observe(an_guard *guard, double loss);

/* What the advice depends on. */
typedef struct {
    bool paper_init; /* --init paper */
    bool overfit;    /* the run is the one that the advice would be */
    double rate;
} an_guard_setting;

/* Write a warning for the user to text: likely causes, and what to try with this configuration. */
void an_guard_explain(const an_guard *guard, const an_guard_setting *setting, char *text, size_t size);

#endif
