/* A dataset as loaders hold it: counted, so that it may be freed before them. */
#ifndef AN_LIBAN_DATASET_PRIVATE_H
#define AN_LIBAN_DATASET_PRIVATE_H

#include <an/dataset.h>

#include "store/dataset/dataset.h"

int an_lib_dataset_check(const liban_dataset *dataset); /* LIBAN_EFORKED */
const an_dataset *an_lib_dataset_inner(const liban_dataset *dataset);

void an_lib_dataset_hold(liban_dataset *dataset);
void an_lib_dataset_drop(liban_dataset *dataset); /* frees it when nobody holds it any more */

#endif
