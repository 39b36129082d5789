/* Option tables of commands that take some of an-train's recipe options besides their own. */
#ifndef AN_TOOLS_SHOW_COMMANDS_RECIPE_OPTIONS_H
#define AN_TOOLS_SHOW_COMMANDS_RECIPE_OPTIONS_H

#include <stddef.h>

#include "base/program/options.h"
#include "train/setup/config.h"

/* Fill table with the own_count options of own, then with the recipe's options listed in names, then with the end.
 * table has room for own_count + count + 1 rows. The command's struct must begin with an an_train_config, because the
 * recipe's offsets count from there. */
void an_recipe_options(an_option *table, const an_option *own, size_t own_count, const char *const *names,
                       size_t count);

#endif
