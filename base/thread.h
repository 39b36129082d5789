/* Threads and processors. */
#ifndef AN_BASE_THREAD_H
#define AN_BASE_THREAD_H

#include <pthread.h>

/* Start a joinable thread. Of its name, tools such as top show 15 characters. All signals are blocked in it, so that
 * they go to the main thread, except those that its own instructions can cause, such as SIGSEGV. */
int an_thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *argument);

/* Restrict the calling thread, and the threads that it starts from now on, to its share of the processors that the
 * process may use. part is 0 to parts - 1. With fewer processors than parts nothing is restricted. */
void an_thread_keep_share(int part, int parts);

/* The share of part among count processors that are divided as evenly as possible: the number of its first one in
 * *first, and how many returned. Every processor belongs to one part. */
int an_thread_share(int count, int part, int parts, int *first);

/* Processors this process may use: affinity mask and cgroup v2 CPU quota considered; at least 1. */
int an_thread_cpu_count(void);

#endif
