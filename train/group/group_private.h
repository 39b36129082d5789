/* The inside of a group.
 *
 * DESIGN. Two threads meet here: the one that trains, or several that run devices (an_reducer), and the group's own,
 * which alone calls MPI. They share what the comment "under lock" stands above. The training thread leaves work,
 * signals `work` and waits for `done`. The group's thread takes the work, begins it with calls of MPI that do not
 * block, and lets MPI test the requests that are under way (requests.c). While nothing moves it sleeps on `work`: for
 * some tens of microseconds where a message is expected soon, for milliseconds where not, because the processors are
 * busy with something better. Whatever it finishes it tells through `done`.
 *
 * A third thread, the watch (watch.c), never calls MPI, which may hold the group's thread for seconds when a connection
 * breaks. It sees processes of this host end, carries out what follows a failure, and says whom all wait for.
 *
 * After the run's failure is known (verdict), whoever waits returns with it; the group's thread tells the others and
 * lets go of MPI; the watch sees that the training thread comes to an_group_fail. */
#ifndef AN_TRAIN_GROUP_GROUP_PRIVATE_H
#define AN_TRAIN_GROUP_GROUP_PRIVATE_H

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#include "base/error.h"
#include "train/group/group.h"
#include "train/group/mpi_module.h"

/* What ranks tell each other about themselves when they have joined. */
typedef struct {
    char host[AN_MPI_TEXT];
    char space[128]; /* what numbers of processes are valid in: the same text, the same numbers */
    int64_t pid;
    int node; /* an_mpi_place */
} an_group_card;

/* A failure of the run. */
typedef struct {
    int rank, code;             /* code 0: none */
    bool lost;                  /* the rank gave no more signs of life; it did not tell this itself */
    char message[AN_ERROR_MAX]; /* "rank 2 on 'host-b': ..." */
} an_group_verdict;

/* Requests that MPI works on, and what to do when they are done. */
typedef void an_group_finish(an_group *group, void *context, int number);
typedef struct {
    an_group_finish *finish;
    void *context;
    int number;
} an_group_pending;
typedef struct {
    uint64_t *requests;
    an_group_pending *pending, *done; /* done: those that the last test found */
    int *finished;
    int count, capacity;
    bool broken; /* a test failed */
} an_group_requests;

/* A message between rank 0 and another rank. */
typedef enum {
    AN_SIGN_ALIVE,
    AN_SIGN_FAILED,  /* to rank 0: the sender, or a rank that it watches, has failed */
    AN_SIGN_VERDICT, /* from rank 0: the run has failed */
    AN_SIGN_HEARD,   /* from rank 0: it has told its user, or is about to; whoever waits for that may end */
    AN_SIGN_LEAVING  /* the last one: the sender closes its group */
} an_sign_kind;
typedef struct {
    int32_t kind, rank, code, lost; /* an_group_verdict */
    int32_t activity;
    uint64_t begun; /* how often the sender has begun to wait for others */
    char text[AN_ERROR_MAX];
} an_sign;

/* The other end of signs: rank 0 has one for each other rank, they have one for rank 0. */
typedef struct {
    int rank;
    an_sign in, out;
    bool sending;
    atomic_bool left;               /* AN_SIGN_LEAVING came */
    bool told, heard, said_leaving; /* what was sent: verdict or failure; AN_SIGN_HEARD; AN_SIGN_LEAVING */
    double silent;                  /* seconds without a sign, of those in which this process ran */
    atomic_int activity;
    atomic_uint_fast64_t begun;
} an_group_peer;

typedef struct {
    an_group_peer *peers;
    int count;
    uint64_t checked_ns, sent_ns;
    bool heard; /* AN_SIGN_HEARD came */
} an_group_life;

/* What is looked at a few times a second. */
typedef struct {
    pthread_t thread;
    bool started;
    struct pollfd *processes; /* world: those of this host, by a file descriptor that tells the end; -1: not watched */
    uint64_t *gone_ns;        /* world: when a process was found to have ended; 0: it has not */
    uint64_t begun, since_ns; /* rank 0: how often it had begun to wait, and since when that has not changed */
    bool noted;
    bool interrupted; /* under lock: what follows a failure has been carried out */
} an_group_watch;

/* One collective, under way or done. */
typedef enum { AN_COLLECTIVE_NONE, AN_COLLECTIVE_POSTED, AN_COLLECTIVE_MOVING, AN_COLLECTIVE_DONE } an_collective_state;
typedef struct {
    an_collective_state state;
    bool broadcast;  /* else a gather */
    size_t size;     /* of own, or of the piece that is broadcast */
    uint8_t *memory; /* the group's own, so that requests that a failed run leaves behind never point to a caller's */
    size_t capacity;
} an_collective;

/* A way to add up gradients. The group calls these; it frees what context is in an_group_close. */
typedef struct {
    an_reducer reducer; /* reducer.context is context */
    void *context;
    void (*advance)(an_group *group, void *context); /* group's thread: begin what was queued. May be NULL */
    bool (*busy)(an_group *group, void *context);    /* group's thread: messages are expected. May be NULL */
    void (*watch)(an_group *group, void *context);   /* the watch, a few times a second: look for failures that only
                                                        the way itself notices: an_group_report. May be NULL */
    void (*interrupt)(void *context);                /* the watch, once: the run has failed, whoever waits must
                                                        return. May be NULL */
    void (*reduced)(void *context, double *waited, uint64_t *sent); /* an_group_reduced. May be NULL */
    int (*describe)(const void *context, an_buffer *out); /* appends ", " and what it adds up with. May be NULL */
    void (*free)(void *context);
} an_group_way;

struct an_group {
    const an_mpi *mpi; /* inside.mpi */
    an_group_inside inside;
    an_mpi_place place;
    an_group_card *cards; /* world */
    int local_rank, local_world, hosts;
    double silence;
    an_group_observer observer;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t work, done, alarm;     /* monotonic clock; alarm: for the watch */
    _Atomic(const an_group_way *) active; /* way, when it is there */
    atomic_int activity;
    atomic_uint_fast64_t begun;
    atomic_uint_fast64_t inside_ns; /* since when the group's thread has been inside MPI; 0: it is not */
    atomic_bool expecting;          /* messages of a collective or of gradients */

    /* Under lock. */
    bool woken; /* the group's thread has something new to look at */
    bool opened, closing;
    bool leaving; /* all ranks close their groups; MPI is about to end */
    bool ended;   /* the group's thread calls nothing any more */
    bool came;    /* the training thread has called an_group_fail */
    bool settled; /* an_group_fail may return, and MPI has been let go */
    bool given_up;
    int open_rc;
    an_error_state open_error;
    an_group_verdict own, verdict; /* own: what this rank has to report */
    uint64_t own_ns, verdict_ns;   /* since when */
    bool alone;                    /* rank 0 did not answer, so this rank has decided for itself */
    bool zero_lost;                /* this rank has found that rank 0 is lost */
    an_collective collective;
    an_group_way way;

    /* The group thread's own. */
    an_group_requests requests;
    an_group_life life;
    bool begun_mpi;

    an_group_watch watch; /* that thread's own */
};

/* requests.c */

/* Has finish called when the request is done. code: what MPI's function returned; a failure is reported. */
void an_group_expect(an_group *group, int code, uint64_t request, an_group_finish *finish, void *context, int number);
/* Lets MPI work and calls what finished. Returns how many did. */
int an_group_test(an_group *group);
void an_requests_free(an_group_requests *requests);

/* thread.c */
void *an_group_run(void *group);
/* Under lock: the group's thread has something new to look at. */
void an_group_wake(an_group *group);
/* Until the monotonic clock says ns. */
void an_group_until(pthread_cond_t *condition, pthread_mutex_t *lock, uint64_t ns);

/* collectives.c */
void an_collective_advance(an_group *group);
bool an_collective_busy(an_group *group);

/* life.c */
int an_life_begin(an_group *group);
void an_life_advance(an_group *group, uint64_t now);
bool an_life_leaves(const an_group *group); /* all have said that they close their groups, so MPI can end */
bool an_life_alone(const an_group *group);  /* all others have said so */
bool an_life_said(const an_group *group);   /* rank 0: all have been told of the verdict, and AN_SIGN_HEARD */
void an_life_free(an_group *group);

/* watch.c */
int an_watch_begin(an_group *group); /* when all know each other's cards */
void an_watch_end(an_group *group);

/* fail.c. All take the lock themselves. */
/* This rank has failed, with the calling thread's message. Any thread. The first report counts. */
void an_group_report(an_group *group, int rc);
/* All ranks have found the same fault of one rank, the calling thread's message. Returns the run's failure. */
int an_group_accuse(an_group *group, int rank, int rc);
/* The run's failure is decided, unless it was before. */
void an_group_decide(an_group *group, const an_group_verdict *verdict);
/* A verdict about a rank that is lost: why, for instance "it was killed". */
void an_group_lost(an_group *group, int rank, const char *why);
bool an_fail_pending(an_group *group);               /* a failure is known, and ranks still have to be told */
void an_fail_settle(an_group *group);                /* the group's thread: whether all have been told */
void an_fail_advance(an_group *group, uint64_t now); /* the watch: what follows a failure */

/* Under lock: the verdict as this thread's error; AN_OK if there is none. */
int an_group_failure(an_group *group);

/* launch.c */
typedef struct {
    int count;
    const char *unsupported; /* what the launcher lacks: the message; NULL: nothing */
} an_launch;
void an_launch_find(an_launch *out);

/* reduce.c: by MPI, in the host's memory. */
int an_reduce_make(an_group_way *out, an_group *group, const an_group_reduce_options *options);

/* nccl_way.c: by NCCL, on CUDA devices. */
int an_nccl_make(an_group_way *out, an_group *group, const an_group_reduce_options *options);

#endif
