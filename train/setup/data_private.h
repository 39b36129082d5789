/* What data.c and sets.c share. */
#ifndef AN_TRAIN_SETUP_DATA_PRIVATE_H
#define AN_TRAIN_SETUP_DATA_PRIVATE_H

#include "train/setup/data.h"

/* AN_ECORRUPT or AN_EINVAL unless the dataset has images, and a crop fits into them. */
int an_train_dataset_check(const an_dataset *dataset, const an_train_config *config);

/* Open the sets to validate on, a NULL-terminated list; paths NULL: none. data->training and class_ids are there. After
 * a failure an_train_sets_close frees what was opened. */
int an_train_sets_open(an_train_data *data, const an_train_config *config, const char *const *paths);
void an_train_sets_close(an_train_data *data);

#endif
