/* Clocks, in nanoseconds. Any thread; they cannot fail. */
#ifndef AN_BASE_CLOCK_H
#define AN_BASE_CLOCK_H

#include <stdint.h>

uint64_t an_clock_ns(void);        /* monotonic */
uint64_t an_clock_thread_ns(void); /* CPU time of the calling thread */
double an_clock_seconds_since(uint64_t start_ns);

#endif
