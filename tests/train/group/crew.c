#include "tests/train/group/crew.h"

#include <stdio.h>
#include <stdlib.h>

#define LONG 100.0 /* seconds: a rank that is slow because of other tests is not lost */

static void note(void *context, const char *text)
{
    crew_member *m = context;
    snprintf(m->note, sizeof m->note, "%s", text);
    atomic_fetch_add(&m->notes, 1);
}

static void interrupt(void *context)
{
    crew_member *m = context;
    atomic_fetch_add(&m->interrupted, 1);
}

static void give_up(void *context, int rc, const char *message, bool speaks)
{
    crew_member *m = context;
    m->give_up_rc = rc;
    m->give_up_speaks = speaks;
    snprintf(m->give_up_message, sizeof m->give_up_message, "%s", message);
    atomic_fetch_add(&m->given_up, 1);
}

static void *live(void *context)
{
    crew_member *m = context;
    const crew *c = m->crew;
    an_group_options options = {.silence = c->silence > 0 ? c->silence : LONG,
                                .observer = {m, note, interrupt, give_up}};
    an_group_inside inside = {.mpi = fake_mpi(c->world, m->rank),
                              .promised = c->promised ? c->promised : c->count,
                              .patience = c->patience > 0 ? c->patience : LONG};
    m->rc = an_group_open_with(&m->group, &options, &inside);
    if (m->rc) {
        an_error_save(&m->told, m->rc);
        return NULL;
    }
    m->rc = c->work(m);
    if (m->rc) {
        m->rc = an_group_fail(m->group, m->rc);
        an_error_save(&m->told, m->rc);
        m->speaks = an_group_speaks(m->group);
    }
    an_group_close(m->group);
    return NULL;
}

void crew_run(crew *c)
{
    c->world = fake_create(c->count, c->each ? c->each : 2);
    for (int i = 0; i < c->count; i++) {
        c->members[i].crew = c;
        c->members[i].rank = i;
        if (pthread_create(&c->members[i].thread, NULL, live, &c->members[i]))
            abort();
    }
    for (int i = 0; i < c->count; i++)
        pthread_join(c->members[i].thread, NULL);
}

void crew_free(crew *c)
{
    fake_free(c->world);
}
