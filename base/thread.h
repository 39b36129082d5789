/* Threads and processors. */
#ifndef AN_BASE_THREAD_H
#define AN_BASE_THREAD_H

#include <pthread.h>

/* Start a joinable thread named name (at most 15 characters show in tools such as top). All signals but
 * those that its own instructions cause are blocked in it, so that only the main thread is interrupted. */
int an_thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *argument);

/* From now on the calling thread, and what it starts, keeps to its share of the processors that the process may use,
 * part 0 to parts - 1; to all of them if there are not enough. */
void an_thread_keep_share(int part, int parts);

/* Processors this process may use: affinity mask and cgroup v2 CPU quota considered; at least 1. */
int an_thread_cpu_count(void);

#endif
