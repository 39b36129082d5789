#include "tools/show/commands/recipe_options.h"

#include <string.h>

static const an_option *find(const char *name)
{
    const an_option *o = an_train_recipe_spec()->options;
    while (!o->name || strcmp(o->name, name) != 0)
        o++;
    return o;
}

void an_recipe_options(an_option *table, const an_option *own, size_t own_count, const char *const *names, size_t count)
{
    memcpy(table, own, own_count * sizeof(*own));
    for (size_t i = 0; i < count; i++)
        table[own_count + i] = *find(names[i]);
    table[own_count + count] = (an_option){0};
}
