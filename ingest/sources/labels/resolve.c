/* Makes the final classes of a source from the ids that were met while listing it. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "ingest/sources/labels/classes.h"

enum { OTHER, NUMBER, TOO_LARGE };

static int kind_of(const char *id, uint32_t *value)
{
    if (!*id || id[strspn(id, "0123456789")])
        return OTHER;
    unsigned long number = strtoul(id, NULL, 10); /* ULONG_MAX if it is larger */
    *value = (uint32_t)number;
    return number > AN_CLASSES_NUMBER_MAX ? TOO_LARGE : NUMBER;
}

/* Put the line in which the class was met before the message. */
static int at_line(int rc, const an_class_entry *met)
{
    return met->line ? an_error_prefix(rc, "line %u", met->line) : rc;
}

static int unknown(const an_class_entry *met, const an_classes *given)
{
    const char *first = given->count ? given->entries[0].id : "";
    size_t length = strlen(met->id);
    if (strncmp(first, met->id, length) == 0 && first[length] == ' ')
        an_error(AN_ECORRUPT,
                 "class '%s' is not among the %u given classes, but '%s' is: put a tab between id and name", met->id,
                 given->count, first);
    else
        an_error(AN_ECORRUPT, "class '%s' is not among the %u given classes", met->id, given->count);
    return at_line(AN_ECORRUPT, met);
}

static int map_to_given(const an_classes *met, const an_classes *given, bool numbers, uint32_t *map)
{
    for (uint32_t i = 0; i < met->count; i++) {
        const char *id = met->entries[i].id;
        if (!an_classes_find(given, id, &map[i]))
            continue;
        if (!numbers || kind_of(id, &map[i]) != NUMBER || map[i] >= given->count)
            return unknown(&met->entries[i], given);
    }
    return AN_OK;
}

static int refuse_mixture(const an_class_entry *number, const an_class_entry *other)
{
    an_error(AN_ECORRUPT,
             "class '%s' is no number, but '%s' is: use numbers alone, or ids alone with --classes-from FILE, which "
             "lists them",
             other->id, number->id);
    return at_line(AN_ECORRUPT, other);
}

/* *numbers: how many of the ids are numbers: all or none of them. Their values are put into map. */
static int count_numbers(const an_classes *met, uint32_t *map, uint32_t *numbers)
{
    const an_class_entry *number = NULL, *other = NULL;
    *numbers = 0;
    for (uint32_t i = 0; i < met->count; i++) {
        const an_class_entry *one = &met->entries[i];
        int kind = kind_of(one->id, &map[i]);
        if (kind == TOO_LARGE) {
            an_error(AN_ECORRUPT,
                     "class '%s': a number stands for a label, which is at most %u: if it is an id, give the ids with "
                     "--classes-from FILE",
                     one->id, AN_CLASSES_NUMBER_MAX);
            return at_line(AN_ECORRUPT, one);
        }
        if (kind == NUMBER && !number)
            number = one;
        if (kind == OTHER && !other)
            other = one;
        *numbers += kind == NUMBER;
    }
    return number && other ? refuse_mixture(number, other) : AN_OK;
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

static uint32_t highest(const uint32_t *values, uint32_t count)
{
    uint32_t most = 0;
    for (uint32_t i = 0; i < count; i++)
        most = values[i] > most ? values[i] : most;
    return most;
}

int an_classes_resolve(an_classes *classes, const an_classes *given, bool numbers, uint32_t *map)
{
    an_classes final = {0};
    uint32_t counted = 0;
    int rc = given ? map_to_given(classes, given, numbers, map) : AN_OK;
    if (!given && numbers)
        rc = count_numbers(classes, map, &counted);
    if (rc)
        return rc;
    if (!given && !counted)
        return an_classes_sort(classes, map);
    rc = given ? an_classes_copy(&final, given) : number_classes(&final, highest(map, classes->count) + 1);
    if (rc) {
        an_classes_free(&final);
        return rc;
    }
    an_classes_free(classes);
    *classes = final;
    return AN_OK;
}
