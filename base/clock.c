#include "base/clock.h"

#include <time.h>

static uint64_t now(clockid_t clock)
{
    struct timespec time = {0};
    (void)clock_gettime(clock, &time); /* cannot fail: these clocks exist on every Linux */
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

uint64_t an_clock_ns(void)
{
    return now(CLOCK_MONOTONIC);
}

uint64_t an_clock_wall_ns(void)
{
    return now(CLOCK_REALTIME);
}

uint64_t an_clock_thread_ns(void)
{
    return now(CLOCK_THREAD_CPUTIME_ID);
}

uint64_t an_clock_process_ns(void)
{
    return now(CLOCK_PROCESS_CPUTIME_ID);
}

double an_clock_seconds_since(uint64_t start_ns)
{
    return (double)(an_clock_ns() - start_ns) * 1e-9;
}
