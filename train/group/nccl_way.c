/* A group's way to add up gradients on CUDA devices. */
#include <stdlib.h>
#include <string.h>

#include "train/group/group_private.h"
#include "train/group/nccl_private.h"

typedef struct {
    an_group *group;
    an_nccl_sum *sum;
    int version; /* of NCCL */
} way;

/* What every rank brings. */
typedef struct {
    int version, devices;
} offer;

static int offers_check(an_group *group, const offer *all)
{
    char own[AN_NCCL_TEXT], first[AN_NCCL_TEXT];
    for (int rank = 1; rank < an_group_world(group); rank++) {
        an_nccl_name(all[rank].version, own);
        an_nccl_name(all[0].version, first);
        if (all[rank].version != all[0].version)
            return an_error(AN_EUNSUPPORTED,
                            "rank %d on '%s' has %s and rank 0 on '%s' has %s: install one version for all", rank,
                            an_group_host(group, rank), own, an_group_host(group, 0), first);
        if (all[rank].devices != all[0].devices)
            return an_error(AN_EINVAL, "rank %d on '%s' has %d devices and rank 0 on '%s' has %d: give all as many",
                            rank, an_group_host(group, rank), all[rank].devices, an_group_host(group, 0),
                            all[0].devices);
    }
    return AN_OK;
}

static int offers_compare(an_group *group, const offer *own)
{
    offer *all = calloc((size_t)an_group_world(group), sizeof *all);
    if (!all)
        return an_error(AN_ENOMEM, "out of memory");
    int rc = an_group_gather(group, own, sizeof *own, all);
    if (!rc)
        rc = offers_check(group, all);
    free(all);
    return rc;
}

/* Rank 0 makes the names under which the communicators' members find each other. */
static int ids_share(an_group *group, const an_nccl *nccl, an_nccl_members *members)
{
    int rc = AN_OK;
    for (int i = 0; i < members->devices && !rc && !members->rank; i++) {
        an_nccl_result result = nccl->GetUniqueId(&members->ids[i]);
        if (result)
            rc = an_nccl_failed(nccl, result, "cannot let ranks connect");
    }
    if (rc)
        return rc;
    return an_group_broadcast(group, members->ids, sizeof members->ids);
}

static int shapes_compare(void *context, const an_nccl_shape *own)
{
    an_group *group = ((way *)context)->group;
    an_nccl_shape *all = calloc((size_t)an_group_world(group), sizeof *all);
    if (!all)
        return an_error(AN_ENOMEM, "out of memory");
    int rank = 0, rc = an_group_gather(group, own, sizeof *own, all);
    while (!rc && rank < an_group_world(group) && !memcmp(&all[rank], &all[0], sizeof *all))
        rank++;
    free(all);
    if (rc || rank == an_group_world(group))
        return rc;
    return an_error(AN_EUNSUPPORTED,
                    "rank %d on '%s' keeps gradients in another layout than rank 0 on '%s': give all "
                    "the same devices, --precision and network",
                    rank, an_group_host(group, rank), an_group_host(group, 0));
}

static void watch(an_group *group, void *context)
{
    int rc = an_nccl_sum_check(((way *)context)->sum);
    if (rc)
        an_group_report(group, rc);
}

static void interrupt(void *context)
{
    an_nccl_sum_stop(((way *)context)->sum);
}

static int describe(const void *context, an_buffer *out)
{
    char name[AN_NCCL_TEXT];
    an_nccl_name(((const way *)context)->version, name);
    return an_buffer_printf(out, ", %s", name);
}

static void release(void *context)
{
    an_nccl_sum_free(((way *)context)->sum);
    free(context);
}

static int members_find(way *w, const an_group_reduce_options *options, const an_nccl *nccl, an_nccl_members *out)
{
    *out = (an_nccl_members){.rank = an_group_rank(w->group),
                             .world = an_group_world(w->group),
                             .devices = strchr(options->devices, ',') ? 2 : 1,
                             .bucket_bytes = options->bucket_bytes,
                             .compare = shapes_compare,
                             .context = w};
    offer own = {nccl->version, out->devices};
    int rc = offers_compare(w->group, &own);
    if (rc)
        return rc;
    rc = an_nccl_environment(options->deterministic, options->devices);
    if (rc)
        return rc;
    return ids_share(w->group, nccl, out);
}

static int make(way *w, const an_group_reduce_options *options)
{
    an_nccl_members members;
    const an_nccl *nccl;
    int rc = an_nccl_load(&nccl);
    if (rc)
        return rc;
    w->version = nccl->version;
    rc = members_find(w, options, nccl, &members);
    if (rc)
        return rc;
    return an_nccl_sum_make(&w->sum, nccl, &members);
}

int an_nccl_make(an_group_way *out, an_group *group, const an_group_reduce_options *options)
{
    if (options->bf16)
        return an_error(AN_EUNSUPPORTED, "gradients cannot travel as bf16 between GPUs: NCCL would also add them up in "
                                         "bf16; let them travel as fp32");
    way *w = calloc(1, sizeof *w);
    if (!w)
        return an_error(AN_ENOMEM, "out of memory");
    w->group = group;
    int rc = make(w, options);
    if (rc) {
        free(w);
        return rc;
    }
    *out = (an_group_way){.reducer = *an_nccl_sum_reducer(w->sum),
                          .context = w,
                          .watch = watch,
                          .interrupt = interrupt,
                          .describe = describe,
                          .free = release};
    return AN_OK;
}
