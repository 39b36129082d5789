/* What the control group of this process may use: its own limits and those of every group around it, of which the
 * lowest holds. Version 2 of cgroups only; under version 1, without cgroups, and where a file cannot be read or
 * understood, there is no limit. Nothing fails. Any thread may call. */
#ifndef AN_BASE_CGROUP_H
#define AN_BASE_CGROUP_H

#include <stdint.h>

/* root: "" for this machine; a folder with proc/self/cgroup and sys/fs/cgroup in it for a test. */
int an_cgroup_cpus(const char *root);        /* processors by cpu.max, rounded up; 0: no limit */
uint64_t an_cgroup_memory(const char *root); /* bytes by memory.max; UINT64_MAX: no limit */

#endif
