/* A command's own options followed by some of an-train's recipe: told apart there, used here. */
#ifndef AN_TOOLS_SHOW_COMMANDS_RECIPE_OPTIONS_H
#define AN_TOOLS_SHOW_COMMANDS_RECIPE_OPTIONS_H

#include <stddef.h>

#include "base/program/options.h"
#include "train/setup/config.h"

/* Fill table with own and the recipe's options called names; room for both and an end. The command's struct begins with
 * an an_train_config, so that offsets hold. */
void an_recipe_options(an_option *table, const an_option *own, size_t own_count, const char *const *names,
                       size_t count);

#endif
