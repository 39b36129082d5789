#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "train/replicas/agree.h"

/* ---- Choices, as lines "key\tname\tmicroseconds\tfirst" ---- */

static int write_choices(const an_choices *choices, an_buffer *out)
{
    int rc = AN_OK;
    for (size_t i = 0; i < choices->count && !rc; i++) {
        const an_choice *c = &choices->items[i];
        rc = an_buffer_printf(out, "%s\t%s\t%.9g\t%.9g\n", c->key, c->name, c->microseconds, c->first);
    }
    return rc ? rc : an_buffer_append(out, "", 1);
}

static int take_choice(an_choices *choices, char *line)
{
    char *key = strsep(&line, "\t"), *name = strsep(&line, "\t"), *time = strsep(&line, "\t");
    if (!name || !time || !line)
        return an_error(AN_EINTERNAL, "rank 0 sent a choice of kernels that is none");
    return an_choices_put(
        choices,
        &(an_choice){.key = key, .name = name, .microseconds = strtod(time, NULL), .first = strtod(line, NULL)});
}

static int take_choices(an_choices *choices, char *lines)
{
    int rc = AN_OK;
    for (char *line; !rc && (line = strsep(&lines, "\n")) && lines;)
        rc = take_choice(choices, line);
    return rc;
}

int an_replicas_spread_choices(an_group *group, an_choices *choices)
{
    an_buffer lines = {0};
    if (!group)
        return AN_OK;
    bool first = an_group_rank(group) == 0;
    int rc = first ? write_choices(choices, &lines) : AN_OK;
    uint64_t size = lines.size;
    if (!rc)
        rc = an_group_broadcast(group, &size, sizeof size);
    if (!rc)
        rc = an_buffer_reserve(&lines, size);
    if (!rc)
        rc = an_group_broadcast(group, lines.data, size);
    if (!rc && !first)
        rc = take_choices(choices, (char *)lines.data);
    an_buffer_free(&lines);
    return rc;
}

/* ---- Parameters ---- */

static int spread_one(an_group *group, an_exec *exec, int number, an_parameter_kind kind, float *values)
{
    bool first = an_group_rank(group) == 0;
    int rc = first ? an_exec_parameter_get(exec, number, kind, values) : AN_OK;
    if (!rc)
        rc = an_group_broadcast(group, values, an_exec_parameter(exec, number)->size * sizeof *values);
    return rc || first ? rc : an_exec_parameter_set(exec, number, kind, values);
}

/* The value comes first: to set it sets the average, too. */
static int spread_kinds(an_group *group, an_exec *exec, int number, bool moments, float *values)
{
    int rc = spread_one(group, exec, number, AN_PARAMETER_VALUE, values);
    if (!rc && moments)
        rc = spread_one(group, exec, number, AN_PARAMETER_MOMENTUM, values);
    if (!rc && moments && an_exec_averages(exec))
        rc = spread_one(group, exec, number, AN_PARAMETER_AVERAGE, values);
    return rc;
}

int an_replicas_spread_parameters(an_group *group, an_exec *exec, bool moments)
{
    uint64_t most = 1;
    void *values = NULL;
    if (!group)
        return AN_OK;
    for (int i = 0; i < an_exec_parameter_count(exec); i++)
        most = an_exec_parameter(exec, i)->size > most ? an_exec_parameter(exec, i)->size : most;
    int rc = an_pages_alloc(&values, most * sizeof(float));
    for (int i = 0; !rc && i < an_exec_parameter_count(exec); i++)
        rc = spread_kinds(group, exec, i, moments, values);
    an_pages_free(values, values ? most * sizeof(float) : 0);
    return rc;
}
