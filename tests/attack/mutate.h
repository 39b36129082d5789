/* Changes to the structure of an LMDB data file: its pages, nodes, trees, meta pages and lists, as somebody would make
 * them who knows the format. One thread. */
#ifndef AN_TESTS_ATTACK_MUTATE_H
#define AN_TESTS_ATTACK_MUTATE_H

#include "base/buffer.h"
#include "base/rng.h"

enum { MUTATE_PAGE = 4096 };

/* Make one change, chosen by rng. file: an LMDB data file with pages of MUTATE_PAGE bytes, perhaps changed before; it
 * keeps at least its two meta pages. Returns the kind of change. */
const char *mutate(an_buffer *file, an_rng *rng);

#endif
