/* an-ingest export: records back to files. */
#ifndef AN_INGEST_COMMANDS_EXPORT_H
#define AN_INGEST_COMMANDS_EXPORT_H

#include <stdbool.h>
#include <stdint.h>

#include "store/dataset/dataset.h"

typedef struct {
    uint64_t first, count; /* indices of records; count 0: to the end */
    bool quiet;
} an_export_options;

/* Write records as folder/<class id>/<index>.jpg (jpeg: byte for byte; coef: with the same coefficients) or .png
 * (pixels), and folder/classes.tsv: a source that an-ingest can read again. folder must not exist. A class whose id
 * cannot be a folder's name is called class-<label>. */
int an_export(const an_dataset *dataset, const char *folder, const an_export_options *options, uint64_t *written);

/* *keeps: do classes have the same labels when the folder is ingested again, by itself? Labels of folders go by the
 * bytewise order of their names: where not, only --classes-from folder/classes.tsv keeps them. */
int an_export_keeps_labels(const an_dataset *dataset, bool *keeps);

#endif
