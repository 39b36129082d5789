/* an-ingest stats: the statistics of a dataset, computed again from its records as they decode. */
#ifndef AN_INGEST_COMMANDS_RECOMPUTE_H
#define AN_INGEST_COMMANDS_RECOMPUTE_H

#include <stdbool.h>

#include "store/dataset/dataset.h"

/* AN_ECORRUPT if a record does not decode. The caller frees out with an_statistics_free. */
int an_recompute(const an_dataset *dataset, int threads, bool quiet, an_statistics *out);

#endif
