/* Callers of next that wait for each other's turn. One of them is held in memory_alloc, so the others wait for certain.
 */
#include "support.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* Whoever asks for memory while the gate is shut waits until it is open. */
typedef struct {
    pthread_mutex_t lock;
    pthread_cond_t moved;
    bool shut, reached;
    bool empty; /* there is no memory */
} gate;

static int gated_alloc(void *context, void **out, size_t size)
{
    gate *g = context;
    pthread_mutex_lock(&g->lock);
    g->reached = g->shut;
    pthread_cond_broadcast(&g->moved);
    while (g->shut)
        pthread_cond_wait(&g->moved, &g->lock);
    bool empty = g->empty;
    pthread_mutex_unlock(&g->lock);
    *out = empty ? NULL : aligned_alloc(4096, size); /* whole pages */
    return *out ? LIBAN_OK : LIBAN_ENOMEM;
}

static void gated_free(void *context, void *memory, size_t size)
{
    (void)context;
    (void)size;
    free(memory);
}

static void gate_move(gate *g, bool shut)
{
    pthread_mutex_lock(&g->lock);
    g->shut = shut;
    pthread_cond_broadcast(&g->moved);
    pthread_mutex_unlock(&g->lock);
}

static void gate_await(gate *g)
{
    pthread_mutex_lock(&g->lock);
    while (!g->reached)
        pthread_cond_wait(&g->moved, &g->lock);
    pthread_mutex_unlock(&g->lock);
}

typedef struct {
    liban_loader *loader;
    liban_batch *batch;
    int rc;
    pthread_t thread;
} caller;

static void *call_next(void *argument)
{
    caller *c = argument;
    c->rc = liban_loader_next(c->loader, &c->batch);
    return NULL;
}

static void *call_set_epoch(void *argument)
{
    caller *c = argument;
    c->rc = liban_loader_set_epoch(c->loader, 7);
    return NULL;
}

static void call(caller *c, void *(*what)(void *))
{
    assert_int_equal(pthread_create(&c->thread, NULL, what, c), 0);
}

static int result(caller *c)
{
    assert_int_equal(pthread_join(c->thread, NULL), 0);
    return c->rc;
}

static liban_loader_options gated(gate *g)
{
    liban_loader_options options = small();
    options.slots = 2;
    options.memory_alloc = gated_alloc;
    options.memory_free = gated_free;
    options.memory_context = g;
    return options;
}

/* A loader all of whose slots are lent, and a thread that is held while it makes another one. */
typedef struct {
    gate gate;
    liban_loader *loader;
    liban_batch *lent[2];
    caller held;
} scene;

static void scene_set(scene *s)
{
    *s = (scene){.gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER}};
    liban_loader_options options = gated(&s->gate);
    s->loader = start(&options);
    for (int i = 0; i < 2; i++)
        s->lent[i] = take(s->loader);
    gate_move(&s->gate, true);
    s->held.loader = s->loader;
    call(&s->held, call_next);
    gate_await(&s->gate);
}

static void scene_end(scene *s)
{
    for (int i = 0; i < 2; i++)
        give(s->lent[i]);
    liban_loader_free(s->loader);
}

static void waiting_for_a_turn_may_be_limited(void **state)
{
    (void)state;
    scene s;
    liban_batch *batch;
    scene_set(&s);
    assert_int_equal(liban_loader_next_within(s.loader, &batch, 0), LIBAN_AGAIN);
    assert_int_equal(liban_loader_next_within(s.loader, &batch, 2000000), LIBAN_AGAIN);
    assert_null(batch);
    gate_move(&s.gate, false);
    assert_int_equal(result(&s.held), LIBAN_OK);
    assert_int_equal(s.held.batch->step, 2);
    batch = take(s.loader);
    assert_int_equal(batch->step, 3);
    give(batch);
    give(s.held.batch);
    scene_end(&s);
}

static void those_who_wait_for_a_turn_are_interrupted(void **state)
{
    (void)state;
    scene s;
    caller waiting[2];
    liban_batch *batch;
    scene_set(&s);
    for (int i = 0; i < 2; i++) {
        waiting[i] = (caller){.loader = s.loader};
        call(&waiting[i], call_next);
    }
    liban_loader_interrupt(s.loader);
    for (int i = 0; i < 2; i++) /* while the turn is still another one's */
        assert_int_equal(result(&waiting[i]), LIBAN_INTERRUPTED);
    gate_move(&s.gate, false);
    assert_int_equal(result(&s.held), LIBAN_INTERRUPTED);
    liban_loader_resume(s.loader);
    batch = take(s.loader);
    assert_int_equal(batch->step, 2);
    give(batch);
    scene_end(&s);
}

static void going_elsewhere_takes_its_turn(void **state)
{
    (void)state;
    scene s;
    caller sender;
    liban_batch *batch;
    scene_set(&s);
    sender = (caller){.loader = s.loader};
    call(&sender, call_set_epoch);
    gate_move(&s.gate, false);
    assert_int_equal(result(&s.held), LIBAN_OK); /* the batch that was being made comes first */
    assert_int_equal(s.held.batch->epoch, 0);
    assert_int_equal(result(&sender), LIBAN_OK);
    batch = take(s.loader);
    assert_int_equal(batch->epoch, 7);
    give(batch);
    give(s.held.batch);
    scene_end(&s);
}

static void *call_close(void *argument)
{
    liban_loader_close(((caller *)argument)->loader);
    return NULL;
}

static void closing_ends_every_wait(void **state)
{
    (void)state;
    scene s;
    caller waiting, sender, closer;
    scene_set(&s);
    waiting = sender = closer = (caller){.loader = s.loader};
    call(&waiting, call_next);
    call(&sender, call_set_epoch);
    call(&closer, call_close);
    assert_int_equal(result(&waiting), LIBAN_INTERRUPTED);
    assert_int_equal(result(&sender), LIBAN_INTERRUPTED);
    gate_move(&s.gate, false);
    assert_int_equal(result(&s.held), LIBAN_INTERRUPTED);
    (void)result(&closer);
    scene_end(&s);
}

/* Where crops change, the next epoch's memory is asked for at the end of this one. */
static void memory_that_is_missing_is_asked_for_again(void **state)
{
    (void)state;
    const liban_crop_change change = {1, 20};
    gate g = {.lock = PTHREAD_MUTEX_INITIALIZER, .moved = PTHREAD_COND_INITIALIZER};
    liban_loader_options options = gated(&g);
    liban_batch *batch;
    options.crop_changes = &change;
    options.crop_change_count = 1;
    liban_loader *loader = start(&options);
    for (uint64_t step = 0; step < liban_loader_steps(loader); step++)
        give(take(loader));
    g.empty = true;
    assert_int_equal(liban_loader_next(loader, &batch), LIBAN_END);
    assert_int_equal(liban_loader_next(loader, &batch), LIBAN_ENOMEM);
    message_has("memory_alloc gave no memory");
    g.empty = false;
    gate_move(&g, true);
    g.reached = false;
    caller held = {.loader = loader};
    call(&held, call_next);
    gate_await(&g);
    liban_loader_interrupt(loader); /* holds for what is only being made, too */
    gate_move(&g, false);
    assert_int_equal(result(&held), LIBAN_INTERRUPTED);
    liban_loader_resume(loader);
    batch = take(loader);
    assert_int_equal(batch->epoch, 1);
    assert_int_equal(batch->step, 0);
    assert_int_equal(batch->crop, 20);
    give(batch);
    liban_loader_free(loader);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(waiting_for_a_turn_may_be_limited),
        cmocka_unit_test(those_who_wait_for_a_turn_are_interrupted),
        cmocka_unit_test(going_elsewhere_takes_its_turn),
        cmocka_unit_test(closing_ends_every_wait),
        cmocka_unit_test(memory_that_is_missing_is_asked_for_again),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
