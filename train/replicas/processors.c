#include "train/replicas/processors.h"

#include <sched.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/error.h"
#include "base/thread.h"

/* Of the processors that this process may use. Where the kernel knows more than fit the set, the same for all. */
static uint64_t mask_hash(void)
{
    cpu_set_t set;
    CPU_ZERO(&set);
    (void)sched_getaffinity(0, sizeof set, &set);
    return XXH3_64bits(&set, sizeof set);
}

static int count_sharers(const an_group *group, const uint64_t *masks)
{
    int own = an_group_rank(group), sharers = 0;
    for (int i = 0; i < an_group_world(group); i++) {
        bool here = strcmp(an_group_host(group, i), an_group_host(group, own)) == 0;
        sharers += here && masks[i] == masks[own];
    }
    return sharers;
}

/* mpirun binds two ranks to a core each, and more to a socket each, unless it is told otherwise. */
#define CORE 2 /* processors of a core at most */

static int note_binding(int ranks, int allowed, an_buffer *notes)
{
    long all = sysconf(_SC_NPROCESSORS_ONLN);
    bool small = allowed <= CORE && (long)allowed * ranks * 2 <= all;
    if (!small)
        return AN_OK;
    return an_buffer_printf(notes,
                            "the launcher lets each rank use %d of the host's %ld processors: give mpirun --bind-to "
                            "none, or more processors to a rank (mpirun --map-by slot:PE=N, srun --cpus-per-task N)\n",
                            allowed, all);
}

int an_replica_processors(an_group *group, int *out, an_buffer *notes)
{
    int allowed = an_thread_cpu_count();
    uint64_t own = mask_hash();
    *out = allowed;
    if (!group)
        return AN_OK;
    uint64_t *masks = calloc((size_t)an_group_world(group), sizeof *masks);
    if (!masks)
        return an_error(AN_ENOMEM, "out of memory for the ranks' processors");
    int rc = an_group_gather(group, &own, sizeof own, masks);
    if (!rc) {
        int share = allowed / count_sharers(group, masks);
        *out = share > 0 ? share : 1;
        rc = note_binding(an_group_local_world(group), allowed, notes);
    }
    free(masks);
    return rc;
}
