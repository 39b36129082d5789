#include "train/replicas/devices.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "model/backend.h"

static int copy(char **out, const char *text, size_t length)
{
    *out = strndup(text, length);
    return *out ? AN_OK : an_error(AN_ENOMEM, "out of memory for --devices");
}

/* The place of the first GPU at or after a place in the lines that `--devices list` prints; NULL: there is none. Each
 * line begins with a device's name. */
static const char *next_gpu(const char *at)
{
    while (at && strncmp(at, "cuda:", 5) != 0) {
        at = strchr(at, '\n');
        at = at ? at + 1 : NULL;
    }
    return at;
}

static int count_gpus(const char *lines)
{
    int count = 0;
    for (const char *at = next_gpu(lines); at; at = next_gpu(at + 1))
        count++;
    return count;
}

/* A launcher may let each rank see its own GPU only, which is the first one for each of them: hence the remainder. */
static int choose(int local_rank, const char *lines, char **out)
{
    int count = count_gpus(lines);
    if (!count)
        return copy(out, "cpu", 3);
    const char *at = next_gpu(lines);
    for (int i = 0; i < local_rank % count; i++)
        at = next_gpu(at + 1);
    return copy(out, at, strcspn(at, " \n"));
}

static int take_auto(int local_rank, char **out)
{
    an_buffer lines = {0};
    int rc = an_backend_devices(&lines);
    if (!rc)
        rc = an_buffer_append(&lines, "", 1);
    if (!rc)
        rc = choose(local_rank, (const char *)lines.data, out);
    an_buffer_free(&lines);
    return rc;
}

static int count_lists(const char *list)
{
    int count = 1;
    for (const char *at = list; (at = strchr(at, ';')); at++)
        count++;
    return count;
}

int an_replica_devices(const an_group *group, const char *list, char **out)
{
    int rank = an_group_local_rank(group), ranks = an_group_local_world(group), lists = count_lists(list);
    *out = NULL;
    if (strcmp(list, "auto") == 0)
        return take_auto(rank, out);
    if (lists > 1 && lists < ranks)
        return an_error(AN_EINVAL,
                        "--devices '%s' has %d lists for the %d ranks of this host: give one for each rank, one for "
                        "all, or auto",
                        list, lists, ranks);
    for (int i = 0; lists > 1 && i < rank; i++)
        list = strchr(list, ';') + 1;
    return copy(out, list, strcspn(list, ";"));
}
