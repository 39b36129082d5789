#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "train/replicas/agree.h"

#define REASON_MAX 512

static int broadcast_text(an_group *group, const char *own, char **out)
{
    uint64_t size = strlen(own) + 1;
    int rc = an_group_broadcast(group, &size, sizeof size);
    if (rc)
        return rc;
    char *text = malloc(size);
    *out = text;
    if (!text)
        return an_error(AN_ENOMEM, "out of memory for what ranks have in common");
    if (an_group_rank(group) == 0)
        memcpy(text, own, size);
    return an_group_broadcast(group, text, size);
}

static size_t line_length(const char *line)
{
    return strcspn(line, "\n");
}

/* "training set: '/data' with 12 images, rank 0 has '/data' with 14 images" */
static void explain(const char *own, const char *theirs, char *out)
{
    size_t own_length = line_length(own), length = line_length(theirs);
    const char *own_value = memmem(own, own_length, " = ", 3), *value = memmem(theirs, length, " = ", 3);
    if (!own_value || !value) {
        snprintf(out, REASON_MAX, "%.*s", (int)own_length, own);
        return;
    }
    snprintf(out, REASON_MAX, "%.*s: %.*s; rank 0 has %.*s", (int)(own_value - own), own,
             (int)(own + own_length - own_value) - 3, own_value + 3, (int)(theirs + length - value) - 3, value + 3);
}

/* out: "" if the lines are the same. */
static void find_difference(const char *own, const char *theirs, char *out)
{
    *out = '\0';
    while (*own && *theirs) {
        size_t length = line_length(own);
        if (length != line_length(theirs) || memcmp(own, theirs, length) != 0) {
            explain(own, theirs, out);
            return;
        }
        own += length + (own[length] ? 1 : 0);
        theirs += length + (theirs[length] ? 1 : 0);
    }
    if (*own || *theirs)
        snprintf(out, REASON_MAX, "number of options");
}

static int name_first(const an_group *group, const char *reasons)
{
    for (int i = 0; i < an_group_world(group); i++) {
        const char *reason = reasons + (size_t)i * REASON_MAX;
        if (*reason)
            return an_error(AN_EINVAL,
                            "rank %d on '%s' differs from rank 0 in its %s; start all ranks with the same program, "
                            "options and data",
                            i, an_group_host(group, i), reason);
    }
    return AN_OK;
}

int an_replicas_compare(an_group *group, const char *lines)
{
    char own[REASON_MAX] = "", *theirs = NULL;
    if (!group)
        return AN_OK;
    char *reasons = calloc((size_t)an_group_world(group), REASON_MAX);
    int rc = reasons ? AN_OK : an_error(AN_ENOMEM, "out of memory for what ranks have in common");
    if (!rc)
        rc = broadcast_text(group, lines, &theirs);
    if (!rc) {
        find_difference(lines, theirs, own);
        rc = an_group_gather(group, own, sizeof own, reasons);
    }
    if (!rc)
        rc = name_first(group, reasons);
    free(theirs);
    free(reasons);
    return rc;
}
