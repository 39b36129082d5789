/* Which of several kernels computes an operation, where that was found by measuring. A key says everything that the
 * choice depends on: the operation with its shape, the device, its driver and libraries.
 *
 * Kernels round differently, so whoever wants the same bits again must bring the same choices: exec takes what is in
 * the table, measures what is not and adds it. One thread at a time. */
#ifndef AN_BASE_CHOICES_H
#define AN_BASE_CHOICES_H

#include <stdbool.h>
#include <stddef.h>

typedef struct {
    char *key, *name;           /* printable, without tabs and newlines */
    double microseconds, first; /* of the chosen one, and of the library's own favourite */
    bool used;                  /* asked for in this process */
    bool measured;              /* in this process */
} an_choice;

typedef struct {
    an_choice *items;
    size_t count, capacity;
} an_choices; /* zero-initialise */

/* NULL if there is none. Valid until the next put. Marks it as used. */
const an_choice *an_choices_find(an_choices *choices, const char *key);
/* Copies. What has the key already stays: the first choice counts. */
int an_choices_put(an_choices *choices, const an_choice *choice);
/* The key's choice is another one: for what was kept and does not exist any more. */
int an_choices_replace(an_choices *choices, const an_choice *choice);
void an_choices_free(an_choices *choices);

#endif
