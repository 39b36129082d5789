/* Which kernels were chosen by measuring, kept in files so that the choice is made once. Two files of one format:
 *     <run folder>/engines.txt                       the run's choices: they decide the last bits of its results
 *     $XDG_CACHE_HOME/an/engines.txt (~/.cache/an)   the user's cache: other runs need not measure again
 * The run's choices come first. A file: "an-engines 1", the XXH3 of all that follows as 16 hex digits, and a line for
 * each choice: key, name, microseconds, microseconds of the library's favourite, separated by tabs. */
#ifndef AN_TRAIN_STATE_ENGINES_H
#define AN_TRAIN_STATE_ENGINES_H

#include "base/buffer.h"
#include "model/choices.h"

/* Load from the run's folder (NULL: none) and the user's cache. A file that is missing is no failure; nor is a damaged
 * one, which is ignored and named in a line of notes. */
int an_engines_load(an_choices *choices, const char *run, an_buffer *notes);
/* Add what was measured to the user's cache. A cache that cannot be written is named in notes and is no failure. */
int an_engines_save_cache(const an_choices *choices, an_buffer *notes);
/* Write the choices in use, those loaded from the run included, to path. No file is written if there are none. */
int an_engines_save(const an_choices *choices, const char *path);

#endif
