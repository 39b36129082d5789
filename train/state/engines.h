/* Where measured choices of kernels are kept. Two files of one format:
 *     <run folder>/engines.txt                       those of the run: they decide its bits, so they go with it
 *     $XDG_CACHE_HOME/an/engines.txt (~/.cache/an)   those of this user's machines, so that nothing is measured twice
 * The run's come first. A file: "an-engines 1", the XXH3 of all that follows as 16 hex digits, and a line for each
 * choice: key, name, microseconds, microseconds of the library's favourite, separated by tabs. */
#ifndef AN_TRAIN_STATE_ENGINES_H
#define AN_TRAIN_STATE_ENGINES_H

#include "base/buffer.h"
#include "base/choices.h"

/* From the run's folder (NULL: none) and the user's cache. Files that are missing are fine; what is wrong with one goes
 * into notes, a line each, and the file counts for nothing. */
int an_engines_load(an_choices *choices, const char *run, an_buffer *notes);
/* What was measured, into the user's cache, with what is there; nothing if nothing was. A cache that cannot be written
 * is worth a note, not a failure. */
int an_engines_save_cache(const an_choices *choices, an_buffer *notes);
/* What this process used and what the run had, to path; nothing if there is neither. */
int an_engines_save(const an_choices *choices, const char *path);

#endif
