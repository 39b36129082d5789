/* Which of several kernels computes an operation, where measurements decided. The key of a choice names everything that
 * it depends on: the operation and its shape, the device, its driver and libraries.
 *
 * Kernels round differently, so the same bits come out again only with the same choices. exec uses the choices in the
 * table, measures those that are missing and adds them. One thread at a time uses a table; its owner frees it. */
#ifndef AN_MODEL_CHOICES_H
#define AN_MODEL_CHOICES_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    char *key, *name;           /* printable, without tabs and newlines */
    double microseconds, first; /* time of the chosen kernel, and of the one that the library would take */
    bool used;                  /* this process asked for it */
    bool measured;              /* this process measured it */
} an_choice;

typedef struct {
    an_choice *items;
    size_t count, capacity;
    void (*told)(void *context); /* called after each choice that was measured; NULL: nobody is told */
    void *context;
} an_choices; /* zero-initialise */

/* The choice for key, marked as used; NULL if there is none. Valid until the next put. */
const an_choice *an_choices_find(an_choices *choices, const char *key);
/* Add a copy of choice. If its key is in the table already, nothing changes: the first choice counts. */
int an_choices_put(an_choices *choices, const an_choice *choice);
/* Add a copy of choice, or replace the choice of the same key: for a kept choice whose kernel no longer exists. */
int an_choices_replace(an_choices *choices, const an_choice *choice);
void an_choices_free(an_choices *choices);

#endif
