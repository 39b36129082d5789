/* Makes the final classes of a source from the ids that were met while listing it. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "ingest/sources/labels/classes.h"

#define LABEL_MAX 10000000 /* a larger number is a mistake, not a label */

static bool is_number(const char *id, uint32_t *value)
{
    char *end;
    unsigned long number = strtoul(id, &end, 10);
    *value = (uint32_t)number;
    return id[0] >= '0' && id[0] <= '9' && !*end && number < LABEL_MAX;
}

static int map_to_given(const an_classes *met, const an_classes *given, bool numbers, uint32_t *map)
{
    for (uint32_t i = 0; i < met->count; i++) {
        const char *id = met->entries[i].id;
        if (!an_classes_find(given, id, &map[i]))
            continue;
        if (!numbers || !is_number(id, &map[i]) || map[i] >= given->count)
            return an_error(AN_EINVAL, "class '%s' is not among the %u given classes", id, given->count);
    }
    return AN_OK;
}

static bool all_numbers(const an_classes *met, uint32_t *map, uint32_t *highest)
{
    *highest = 0;
    for (uint32_t i = 0; i < met->count; i++) {
        if (!is_number(met->entries[i].id, &map[i]))
            return false;
        *highest = map[i] > *highest ? map[i] : *highest;
    }
    return met->count > 0;
}

static int number_classes(an_classes *classes, uint32_t count)
{
    int rc = AN_OK;
    for (uint32_t i = 0; i < count && !rc; i++) {
        char id[16];
        snprintf(id, sizeof(id), "%u", i);
        rc = an_classes_add(classes, id, NULL);
    }
    return rc;
}

int an_classes_resolve(an_classes *classes, const an_classes *given, bool numbers, uint32_t *map)
{
    uint32_t highest;
    an_classes final = {0};
    int rc;
    if (given)
        rc = map_to_given(classes, given, numbers, map);
    else if (!numbers || !all_numbers(classes, map, &highest))
        return an_classes_sort(classes, map);
    else
        rc = number_classes(&final, highest + 1);
    if (!rc && given)
        rc = an_classes_copy(&final, given);
    if (rc) {
        an_classes_free(&final);
        return rc;
    }
    an_classes_free(classes);
    *classes = final;
    return AN_OK;
}
