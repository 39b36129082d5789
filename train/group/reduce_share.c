/* Memory that the ranks of one host share. Each rank's lies in a file without a name, which the others open through
 * /proc: so nothing is left behind, however a process ends, and what one rank has mapped stays there when the other
 * one is gone. Pages come when they are written first, near the thread that does. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "train/group/reduce_private.h"

bool an_share_possible(const an_group *group)
{
    const an_group_card *first = &group->cards[0];
    bool all = first->space[0];
    for (int rank = 1; rank < group->place.world; rank++) {
        const an_group_card *card = &group->cards[rank];
        all = all && card->node == first->node && !strcmp(card->space, first->space);
    }
    return all;
}

void an_share_begin(an_share *share)
{
    *share = (an_share){.file = memfd_create("an-gradients", MFD_CLOEXEC)};
    share->broken = share->file < 0;
}

static int grow(an_share *share)
{
    if (share->count < share->capacity)
        return AN_OK;
    int capacity = share->capacity ? 2 * share->capacity : 64;
    an_share_piece *pieces = realloc(share->pieces, (size_t)capacity * sizeof *pieces);
    if (!pieces)
        return an_error(AN_ENOMEM, "out of memory");
    share->pieces = pieces;
    share->capacity = capacity;
    return AN_OK;
}

int an_share_alloc(an_share *share, size_t size, void **out)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    size_t whole = (size + page - 1) / page * page + (size ? 0 : page);
    int rc = grow(share);
    if (rc)
        return rc;
    share->broken = share->broken || ftruncate(share->file, (off_t)(share->size + whole));
    int flags = share->broken ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED;
    void *memory = mmap(NULL, whole, PROT_READ | PROT_WRITE, flags, share->broken ? -1 : share->file,
                        share->broken ? 0 : (off_t)share->size);
    if (memory == MAP_FAILED)
        return an_error(AN_ENOMEM, "out of memory: %zu bytes for gradients", size);
    (void)madvise(memory, whole, MADV_HUGEPAGE); /* where the system has none for files, pages are small */
    share->pieces[share->count++] = (an_share_piece){memory, share->size, whole};
    share->size += whole;
    *out = memory;
    return AN_OK;
}

static const an_share_piece *find(const an_share *share, const void *memory)
{
    uintptr_t at = (uintptr_t)memory;
    for (int i = share->count - 1; i >= 0; i--) {
        const an_share_piece *piece = &share->pieces[i];
        if (at >= (uintptr_t)piece->memory && at < (uintptr_t)piece->memory + piece->size)
            return piece;
    }
    return NULL;
}

bool an_share_holds(const an_share *share, const void *memory, size_t size)
{
    const an_share_piece *piece = find(share, memory);
    return !share->broken && piece && size <= piece->size - (size_t)((const uint8_t *)memory - piece->memory);
}

void *an_share_place(const an_share *share, int rank, const void *own)
{
    const an_share_piece *piece = find(share, own);
    return share->others[rank] + piece->offset + ((const uint8_t *)own - piece->memory);
}

static void unmap(an_share *share)
{
    for (int rank = 0; rank < share->world && share->others; rank++) {
        if (share->others[rank])
            (void)munmap(share->others[rank], share->mapped); /* it was mapped so */
    }
    free(share->others);
    share->others = NULL;
}

static uint8_t *map_other(const an_group_card *card, int file, uint64_t size)
{
    char path[64];
    snprintf(path, sizeof path, "/proc/%lld/fd/%d", (long long)card->pid, file);
    int opened = open(path, O_RDWR | O_CLOEXEC);
    if (opened < 0)
        return NULL;
    void *memory = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, opened, 0);
    (void)close(opened); /* nothing was written */
    return memory == MAP_FAILED ? NULL : memory;
}

/* files: of all ranks; -1: a rank does not want to. Returns whether all could be mapped. */
static bool map_others(an_share *share, const an_group *group, const int *files)
{
    bool all = true;
    for (int rank = 0; rank < share->world && all; rank++)
        all = files[rank] >= 0;
    for (int rank = 0; rank < share->world && all; rank++) {
        share->others[rank] = map_other(&group->cards[rank], files[rank], share->mapped);
        all = share->others[rank];
    }
    return all;
}

/* answers: world, of any content. */
static int agree(an_share *share, an_group *group, bool wanted, int *answers, bool *out)
{
    int own = wanted ? share->file : -1;
    int rc = an_group_gather(group, &own, sizeof own, answers);
    if (rc)
        return rc;
    own = map_others(share, group, answers);
    rc = an_group_gather(group, &own, sizeof own, answers);
    *out = true;
    for (int rank = 0; rank < share->world && !rc; rank++)
        *out = *out && answers[rank];
    return rc;
}

int an_share_open(an_share *share, an_group *group, bool wanted, bool *out)
{
    *out = false;
    unmap(share);
    share->world = group->place.world;
    share->mapped = share->size;
    share->others = calloc((size_t)share->world, sizeof *share->others);
    int *answers = calloc((size_t)share->world, sizeof *answers);
    int rc =
        share->others && answers ? agree(share, group, wanted, answers, out) : an_error(AN_ENOMEM, "out of memory");
    free(answers);
    if (rc || !*out)
        unmap(share);
    return rc;
}

void an_share_end(an_share *share)
{
    unmap(share);
    for (int i = 0; i < share->count; i++)
        (void)munmap(share->pieces[i].memory, share->pieces[i].size); /* it was mapped so */
    free(share->pieces);
    if (share->file >= 0)
        (void)close(share->file); /* nobody reads it any more */
    *share = (an_share){.file = -1};
}
