/* An MPI whose ranks are threads of one process, to be put in place of the module's: so sanitizers see all of a group.
 * Messages are copied when they are sent and when they are received, by the rank that does so, so a rank that has
 * failed may free its memory. Each rank's table is used by one thread, as MPI's would be. */
#ifndef AN_TESTS_TRAIN_GROUP_FAKE_H
#define AN_TESTS_TRAIN_GROUP_FAKE_H

#include <stdatomic.h>
#include <stdbool.h>

#include "train/group/mpi_module.h"

typedef struct fake_world fake_world;

/* So many ranks share a host each: with two, 0 and 1 share "host0", 2 and 3 share "host2", and so on. */
fake_world *fake_create(int ranks, int each);
void fake_free(fake_world *world);
const an_mpi *fake_mpi(fake_world *world, int rank);

/* From now on the rank neither sends nor receives, as if it had been stopped or cut off. */
void fake_stop(fake_world *world, int rank, bool stopped);
/* From now on tests of its requests fail. */
void fake_break(fake_world *world, int rank);
/* Whether the rank has left MPI in good order. */
bool fake_has_ended(fake_world *world, int rank);

#endif
