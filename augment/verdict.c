#include "augment/loader.h"

#include <stdio.h>

/* Below this share of the time a wait is noise. */
#define NOTHING 0.01

static double share(uint64_t part, uint64_t whole)
{
    return whole ? (double)part / (double)whole : 0;
}

const char *an_loader_verdict(const an_loader_stats *stats, char *text, size_t size)
{
    uint64_t worker_time = stats->elapsed_ns * (uint64_t)stats->threads;
    double starved = share(stats->consumer_wait_ns, stats->elapsed_ns);
    double busy = share(stats->worker_busy_ns, worker_time), unread = share(stats->worker_wait_read_ns, worker_time);
    if (starved < NOTHING) {
        snprintf(
            text, size,
            "consumer: it waited %.1f %% of the time for data, and %d decoding threads were busy %.0f %% of theirs",
            100 * starved, stats->threads, 100 * busy);
        return "consumer";
    }
    if (unread > busy) {
        snprintf(text, size,
                 "read: %d decoding threads waited %.0f %% of the time for records, the consumer %.0f %% for data",
                 stats->threads, 100 * unread, 100 * starved);
        return "read";
    }
    snprintf(text, size, "decode: %d threads were busy %.0f %% of the time, the consumer waited %.0f %% for data",
             stats->threads, 100 * busy, 100 * starved);
    return "decode";
}
