/* Clocks, in nanoseconds. Any thread; they cannot fail. */
#ifndef AN_BASE_CLOCK_H
#define AN_BASE_CLOCK_H

#include <stdint.h>

uint64_t an_clock_ns(void);         /* monotonic */
uint64_t an_clock_thread_ns(void);  /* CPU time of the calling thread */
uint64_t an_clock_wall_ns(void);    /* since 1970, UTC; may jump when the clock is set */
uint64_t an_clock_process_ns(void); /* CPU time of all threads of the process, those that have ended among them */
double an_clock_seconds_since(uint64_t start_ns);

#endif
