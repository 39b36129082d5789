/* Which stage is the limit, by the waits that the loader counted. A stage is a row of the table below. */
#include "augment/loader.h"

#include <stdio.h>

/* Below this share of the time a wait is noise. */
#define NOTHING 0.01

/* Shares of the time of the threads named. */
typedef struct {
    double starved; /* consumer: it waited for data */
    double busy;    /* workers: they decoded and augmented */
    double unread;  /* workers: they waited for records */
    int threads;    /* workers */
} shares;

typedef struct {
    const char *name;
    bool (*binds)(const shares *s);
    void (*explain)(const shares *s, char *text, size_t size);
} stage;

static bool never_starved(const shares *s)
{
    return s->starved < NOTHING;
}

static void explain_consumer(const shares *s, char *text, size_t size)
{
    snprintf(text, size,
             "consumer: it waited %.1f %% of the time for data, and %d decoding threads were busy %.0f %% of theirs",
             100 * s->starved, s->threads, 100 * s->busy);
}

static bool mostly_unread(const shares *s)
{
    return s->unread > s->busy;
}

static void explain_read(const shares *s, char *text, size_t size)
{
    snprintf(text, size,
             "read: %d decoding threads waited %.0f %% of the time for records, the consumer %.0f %% for data",
             s->threads, 100 * s->unread, 100 * s->starved);
}

static bool otherwise(const shares *s)
{
    (void)s;
    return true;
}

static void explain_decode(const shares *s, char *text, size_t size)
{
    snprintf(text, size, "decode: %d threads were busy %.0f %% of the time, the consumer waited %.0f %% for data",
             s->threads, 100 * s->busy, 100 * s->starved);
}

/* The first that binds is the limit. */
static const stage stages[] = {
    /* The loader keeps up. Nothing about it needs to change. */
    {"consumer", never_starved, explain_consumer},
    /* Records arrive too slowly. A faster disk, more reads in flight or smaller records help. */
    {"read", mostly_unread, explain_read},
    /* Making samples takes too long. More decoding threads or a codec that decodes faster help. */
    {"decode", otherwise, explain_decode},
};

static double share(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

const char *an_loader_verdict(const an_loader_stats *stats, char *text, size_t size)
{
    uint64_t worker_time = stats->elapsed_ns * (uint64_t)stats->threads;
    const shares s = {.starved = share(stats->consumer_wait_ns, stats->elapsed_ns),
                      .busy = share(stats->worker_busy_ns, worker_time),
                      .unread = share(stats->worker_wait_read_ns, worker_time),
                      .threads = stats->threads};
    const stage *limit = stages;
    while (!limit->binds(&s))
        limit++;
    limit->explain(&s, text, size);
    return limit->name;
}
