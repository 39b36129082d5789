/* Ranks of a fake world, each a thread that opens a group, does what it is told and closes it. */
#ifndef AN_TESTS_TRAIN_GROUP_CREW_H
#define AN_TESTS_TRAIN_GROUP_CREW_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/error.h"
#include "tests/train/group/fake.h"
#include "train/group/group_private.h"

#define CREW_MAX 8

typedef struct crew crew;

typedef struct {
    crew *crew;
    int rank;
    an_group *group;
    int rc;              /* of work, or of an_group_fail after it */
    bool speaks;         /* an_group_speaks, after a failure */
    an_error_state told; /* its message */
    uint64_t hash;
    atomic_int interrupted, given_up, notes;
    int give_up_rc;
    bool give_up_speaks;
    char note[1024], give_up_message[AN_ERROR_MAX];
    pthread_t thread;
} crew_member;

struct crew {
    int count;
    int each;                 /* ranks on a host; 0: two */
    double silence, patience; /* seconds; 0: long */
    int promised;             /* 0: count */
    int (*work)(crew_member *member);
    int argument;
    fake_world *world;
    crew_member members[CREW_MAX];
    atomic_bool over; /* for members that never come */
};

/* Runs all ranks to their ends. crew_free afterwards. */
void crew_run(crew *crew);
void crew_free(crew *crew);

#endif
