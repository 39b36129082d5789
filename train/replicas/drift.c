#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "train/replicas/agree.h"

#define NAMED_MAX 8 /* ranks that are named */

/* "rank 3 on 'b'", "ranks 1 and 3", "ranks 1, 2, 5 and 12 others" */
static int name_ranks(const an_group *group, const int *drifted, int count, an_buffer *out)
{
    if (count == 1)
        return an_buffer_printf(out, "rank %d on '%s' holds", drifted[0], an_group_host(group, drifted[0]));
    int named = count <= NAMED_MAX ? count : NAMED_MAX;
    int rc = an_buffer_printf(out, "ranks %d", drifted[0]);
    for (int i = 1; i < named && !rc; i++)
        rc = an_buffer_printf(out, "%s%d", i + 1 == count ? " and " : ", ", drifted[i]);
    if (!rc && named < count)
        rc = an_buffer_printf(out, " and %d others", count - named);
    return rc ? rc : an_buffer_printf(out, " hold");
}

static int report(const an_group *group, const int *drifted, int count, uint64_t step)
{
    an_buffer text = {0};
    int rc = name_ranks(group, drifted, count, &text);
    if (!rc)
        rc = an_error(AN_ECORRUPT,
                      "%s other weights than rank 0 after step %" PRIu64 ", although all sum up the same gradients: a "
                      "device computes wrongly, or memory is bad; resume from the last checkpoint without that machine",
                      (const char *)text.data, step);
    an_buffer_free(&text);
    return rc;
}

static int compare(const an_group *group, const uint64_t *sums, int *drifted, uint64_t step)
{
    int count = 0;
    for (int i = 1; i < an_group_world(group); i++)
        if (sums[i] != sums[0])
            drifted[count++] = i;
    return count ? report(group, drifted, count, step) : AN_OK;
}

int an_replicas_check_weights(an_group *group, an_exec *exec, uint64_t step)
{
    uint64_t own = 0;
    if (!group)
        return AN_OK;
    size_t world = (size_t)an_group_world(group);
    uint64_t *sums = calloc(world, sizeof *sums);
    int *drifted = calloc(world, sizeof *drifted);
    int rc = sums && drifted ? AN_OK : an_error(AN_ENOMEM, "out of memory for the ranks' checksums");
    if (!rc)
        rc = an_exec_checksum(exec, &own);
    if (!rc)
        rc = an_group_gather(group, &own, sizeof own, sums);
    if (!rc)
        rc = compare(group, sums, drifted, step);
    free(sums);
    free(drifted);
    return rc;
}
