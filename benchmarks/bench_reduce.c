/* What adding up gradients on processors costs: the group's reducer beside MPI_Allreduce, in turn, in the same run.
 * The gradients are as many as AlexNet's, in its buckets. For each way the table says how long a step's reduction
 * takes, the rate at which gradients are reduced, and the processor time of the busiest rank.
 *
 *     mpirun -np 2 bench_reduce [fp32|bf16 [millions of values [rounds [alone|both [messages]]]]] */
#include <mpi.h>

#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "train/group/mpi_module.h"

#define BUCKETS 4
#define ROUNDS_MAX 1000

/* AlexNet's parameters: fc8, fc7, fc6 and the convolutions, in the order in which backward finishes them. */
static const double shares[BUCKETS] = {4097000.0 / 60965224, 16781312.0 / 60965224, 37752832.0 / 60965224,
                                       2334080.0 / 60965224};

typedef struct {
    float *values;
    void *pages; /* if they are not the reducer's */
    uint64_t count;
    an_gradient gradients[BUCKETS];
    an_gradient_bucket buckets[BUCKETS];
    an_group *group;
    const an_reducer *reducer;
    bool alone;    /* without MPI_Allreduce, for profiles */
    bool messages; /* also on one host */
} bench;

typedef struct {
    double seconds[ROUNDS_MAX], processor[ROUNDS_MAX];
} timing;

static int fail(const char *what)
{
    fprintf(stderr, "bench_reduce: %s: %s\n", what, an_error_message());
    return 1;
}

static void divide(bench *b)
{
    uint64_t at = 0;
    for (int i = 0; i < BUCKETS; i++) {
        uint64_t count = i + 1 < BUCKETS ? (uint64_t)(shares[i] * (double)b->count) : b->count - at;
        b->gradients[i] = (an_gradient){.values = b->values + at, .count = count, .dtype = AN_DTYPE_F32};
        b->buckets[i] = (an_gradient_bucket){.gradients = &b->gradients[i], .count = 1, .bytes = count * sizeof(float)};
        at += count;
    }
}

static int reduce(bench *b)
{
    int rc = 0;
    for (int i = 0; i < BUCKETS && !rc; i++)
        rc = b->reducer->queue(b->reducer->context, i, NULL);
    for (int i = 0; i < BUCKETS && !rc; i++)
        rc = b->reducer->wait(b->reducer->context, i);
    return rc;
}

/* Only the group's thread may call MPI, so MPI_Allreduce is called there, when the group tests its requests. */
static const an_mpi *module;
static _Atomic(bench *) asked;

static int test(void *context, uint64_t *requests, int count, int *finished, int *finished_count)
{
    bench *b = atomic_load(&asked);
    for (int i = 0; i < BUCKETS && b; i++) {
        if (MPI_Allreduce(MPI_IN_PLACE, b->gradients[i].values, (int)b->gradients[i].count, MPI_FLOAT, MPI_SUM,
                          MPI_COMM_WORLD))
            return MPI_ERR_OTHER;
    }
    atomic_store(&asked, NULL);
    return module->test(context, requests, count, finished, finished_count);
}

static int allreduce(bench *b)
{
    atomic_store(&asked, b);
    while (atomic_load(&asked)) {
        int rc = an_group_check(b->group);
        if (rc)
            return rc;
        usleep(100);
    }
    return 0;
}

static int join(an_group **out)
{
    static const an_group_options options;
    static an_mpi mpi;
    int rc = an_mpi_load(&module);
    if (rc)
        return rc;
    mpi = *module;
    mpi.test = test;
    an_group_inside inside = {.mpi = &mpi, .promised = an_group_launched(), .patience = 10};
    return an_group_open_with(out, &options, &inside);
}

static int measure(bench *b, int (*way)(bench *b), timing *out, int round)
{
    int rc = an_group_barrier(b->group);
    if (rc)
        return rc;
    uint64_t since = an_clock_ns(), processor = an_clock_process_ns();
    rc = way(b);
    out->seconds[round] = an_clock_seconds_since(since);
    out->processor[round] = (double)(an_clock_process_ns() - processor) * 1e-9;
    return rc;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(double *values, int count)
{
    qsort(values, (size_t)count, sizeof *values, compare);
    return values[count / 2];
}

/* Of all ranks the slowest, in seconds. */
static int worst(bench *b, double *value)
{
    double all[256];
    if (an_group_world(b->group) > 256)
        return an_error(AN_EINVAL, "more than 256 ranks");
    int rc = an_group_gather(b->group, value, sizeof *value, all);
    for (int i = 0; i < an_group_world(b->group) && !rc; i++)
        *value = all[i] > *value ? all[i] : *value;
    return rc;
}

static int show(bench *b, const char *name, timing *t, int rounds)
{
    double seconds = median(t->seconds, rounds), processor = median(t->processor, rounds);
    int rc = worst(b, &seconds);
    if (!rc)
        rc = worst(b, &processor);
    if (!rc && !an_group_rank(b->group))
        printf("%-14s %8.1f ms  %6.2f GB/s  %8.1f ms of processor\n", name, seconds * 1e3,
               (double)b->count * sizeof(float) / seconds * 1e-9, processor * 1e3);
    return rc;
}

static int run(bench *b, int rounds)
{
    static timing own, mpi;
    int rc = 0;
    for (int i = -2; i < rounds && !rc; i++) { /* the first two warm up */
        for (uint64_t k = 0; k < b->count; k++)
            b->values[k] = 1;
        rc = measure(b, reduce, &own, i < 0 ? 0 : i);
        if (!rc && !b->alone)
            rc = measure(b, allreduce, &mpi, i < 0 ? 0 : i);
    }
    if (!rc)
        rc = show(b, "reducer", &own, rounds);
    return rc || b->alone ? rc : show(b, "MPI_Allreduce", &mpi, rounds);
}

/* With the gradients where the reducer wants them, unless it shall use messages. */
static int make(bench *b)
{
    size_t size = b->count * sizeof(float);
    const an_reducer *reducer = b->reducer;
    void *memory;
    bool shared = reducer->alloc && !b->messages;
    int rc = shared ? reducer->alloc(reducer->context, size, &memory) : an_pages_alloc(&memory, size);
    if (rc)
        return rc;
    b->values = memory;
    b->pages = shared ? NULL : memory;
    divide(b);
    return reducer->open(reducer->context, b->buckets, BUCKETS, 1);
}

int main(int argc, char **argv)
{
    bench b = {.count = (uint64_t)((argc > 2 ? atof(argv[2]) : 60.965224) * 1e6)};
    int rounds = argc > 3 ? atoi(argv[3]) : 20;
    b.alone = argc > 4 && !strcmp(argv[4], "alone");
    b.messages = argc > 5 && !strcmp(argv[5], "messages");
    if (b.count < 1000 || rounds < 1 || rounds > ROUNDS_MAX)
        return fail("bad arguments");
    if (an_group_launched() < 2)
        return fail("start it with mpirun -np 2");
    if (join(&b.group))
        return fail("cannot join");
    an_group_reduce_options reduction = {.processors = true, .bf16 = argc > 1 && !strcmp(argv[1], "bf16")};
    if (an_group_reducer(b.group, &reduction, &b.reducer))
        return fail("reducer");
    if (make(&b))
        return fail("gradients");
    if (run(&b, rounds))
        return fail("reduction");
    an_group_close(b.group);
    if (b.pages)
        an_pages_free(b.pages, b.count * sizeof(float));
    return 0;
}
