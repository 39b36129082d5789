/* One rank of a run under mpirun, for ranks.py.
 *
 *     rank exercise          all collectives and the reducer; rank 0 says what it is
 *     rank other             rank 1 gives another layout to the reducer
 *     rank fail WHO          rank WHO fails while the others wait in a sum
 *     rank leave WHO         rank WHO ends without a word
 *     rank loop sum|reduce   until a rank is killed; each says its number and process at first, rank 0 "going" later
 *     rank stuck             rank 1 fails, and the training thread of rank 0 never comes
 *
 * With APART=1 in the environment each rank takes itself for the only one of its host: gradients go by messages. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "tests/train/group/exercise.h"
#include "train/group/mpi_module.h"

static void say(const char *text)
{
    printf("%s\n", text);
    (void)fflush(stdout);
}

static void note(void *context, const char *text)
{
    (void)context;
    printf("note: %s\n", text);
    (void)fflush(stdout);
}

static void give_up(void *context, int rc, const char *message, bool speaks)
{
    (void)context;
    if (speaks)
        printf("gave up: %s\n", message);
    (void)fflush(stdout);
    _exit(an_error_exit_code(rc));
}

static int exercise(an_group *group)
{
    uint64_t hash;
    an_buffer text = {0};
    int rc = exercise_collectives(group);
    if (!rc)
        rc = exercise_reducer(group, false, &hash);
    if (!rc)
        rc = exercise_reducer(group, true, &hash);
    if (!rc)
        rc = an_group_describe(group, &text);
    if (!rc && !an_group_rank(group))
        printf("%s, local %d of %d\n", (char *)text.data, an_group_local_rank(group), an_group_local_world(group));
    an_buffer_free(&text);
    return rc;
}

static int other(an_group *group)
{
    float values[100] = {0};
    an_gradient gradient = {.values = values, .count = 100, .dtype = AN_DTYPE_F32};
    an_gradient_bucket bucket = {.gradients = &gradient, .count = 1, .bytes = sizeof values};
    an_group_reduce_options options = {.processors = true};
    const an_reducer *reducer;
    int rc = an_group_reducer(group, &options, &reducer);
    return rc ? rc : reducer->open(reducer->context, &bucket, 1, an_group_rank(group) == 1);
}

static int fail(an_group *group, int who)
{
    double value = 1;
    if (an_group_rank(group) == who)
        return an_error(AN_ECORRUPT, "'/data/train': record 7 is damaged");
    return an_group_sum(group, &value, 1);
}

static int leave(an_group *group, int who)
{
    double value = 1;
    if (an_group_rank(group) == who)
        _exit(0);
    return an_group_sum(group, &value, 1);
}

static int loop(an_group *group, bool reduce)
{
    int rc = 0;
    printf("rank %d is process %d\n", an_group_rank(group), (int)getpid());
    (void)fflush(stdout);
    for (int i = 0; !rc; i++) {
        double value = 1;
        uint64_t hash;
        rc = reduce ? exercise_reducer(group, false, &hash) : an_group_sum(group, &value, 1);
        if (i == 3 && !an_group_rank(group))
            say("going");
    }
    return rc;
}

static int stuck(an_group *group)
{
    if (an_group_rank(group) == 1)
        return an_error(AN_EIO, "no more");
    for (;;)
        pause();
}

static int carry_out(an_group *group, const char *what, const char *argument)
{
    if (!strcmp(what, "exercise"))
        return exercise(group);
    if (!strcmp(what, "other"))
        return other(group);
    if (!strcmp(what, "fail"))
        return fail(group, atoi(argument));
    if (!strcmp(what, "leave"))
        return leave(group, atoi(argument));
    if (!strcmp(what, "loop"))
        return loop(group, !strcmp(argument, "reduce"));
    return stuck(group);
}

static const an_mpi *module;

static int begin_apart(void *context, an_mpi_place *out)
{
    int code = module->begin(context, out);
    out->node = out->rank;
    return code;
}

static int open_group(an_group **out, const an_group_options *options)
{
    static an_mpi apart;
    if (!getenv("APART"))
        return an_group_open(out, options);
    int rc = an_mpi_load(&module);
    if (rc)
        return rc;
    apart = *module;
    apart.begin = begin_apart;
    an_group_inside inside = {.mpi = &apart, .promised = an_group_launched(), .patience = 100};
    return an_group_open_with(out, options, &inside);
}

int main(int argc, char **argv)
{
    const char *silence = getenv("SILENCE");
    an_group_options options = {.silence = silence ? atof(silence) : 0, .observer = {.note = note, .give_up = give_up}};
    an_group *group = NULL;
    int rc = open_group(&group, &options);
    if (rc) {
        say(an_error_message());
        return an_error_exit_code(rc);
    }
    if (!group) {
        say("one process");
        return 0;
    }
    signal(SIGTERM, SIG_IGN); /* a launcher that sees a rank end sends it to the others */
    rc = carry_out(group, argc > 1 ? argv[1] : "exercise", argc > 2 ? argv[2] : "0");
    if (rc)
        rc = an_group_fail(group, rc);
    if (rc && an_group_speaks(group)) {
        printf("rank %d says: %s\n", an_group_rank(group), an_error_message());
        (void)fflush(stdout);
    }
    an_group_close(group);
    return an_error_exit_code(rc);
}
