/* Starvation: the devices wait for images because the loader does not keep up. While training it is looked for in
 * periods; whoever tells it also says what would help. Used by the thread that trains; nothing here fails. */
#ifndef AN_TRAIN_ADVICE_STARVATION_H
#define AN_TRAIN_ADVICE_STARVATION_H

#include "augment/loader.h"

/* What is known of a time of training. */
typedef struct {
    double seconds, waited; /* of training, and the part of it that was spent waiting for images */
    double held;            /* seconds beside these in which checkpoints held training up */
    an_loader_stats loader; /* over that time; only what its threads did counts */
    int threads_most;       /* loader threads that there are processors for */
    double jpegs;           /* share of the records that are JPEG, 0..1 */
    an_decode_place decode; /* who decodes */
    bool devices_could;     /* the host decodes what the devices could decode */
} an_starvation;

/* Whether they waited for a share of the time that is worth a word, that in which checkpoints held training up
 * included. Only seconds, waited and held count. */
bool an_starvation_found(const an_starvation *starvation);

/* For how long the devices waited, why, and what would help: only what is still possible. */
void an_starvation_explain(const an_starvation *starvation, char *text, size_t size);

/* Cuts the time of training into periods, without what checkpoints hold up. Zeroed at the start, with the length of a
 * period set. */
typedef struct {
    double period;          /* seconds */
    double seconds, waited; /* of the period so far */
    an_loader_stats before; /* at its beginning */
    bool warm;              /* the first period is over: it does not count, because caches are cold in it */
} an_starvation_watch;

#define AN_STARVATION_PERIOD 10.0

/* Add a part of the time. now: the loader's counters at its end. True if a period ends here in which the
 * devices starved; seconds, waited and loader of out are filled in then. */
bool an_starvation_add(an_starvation_watch *watch, double seconds, double waited, const an_loader_stats *now,
                       an_starvation *out);

/* The share of JPEG in a dataset, from a few of its records at equal distances. */
double an_starvation_jpegs(const an_dataset *dataset);

#endif
