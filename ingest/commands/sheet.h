/* an-ingest sheet: a contact sheet of random records with their class names, as a PNG. */
#ifndef AN_INGEST_COMMANDS_SHEET_H
#define AN_INGEST_COMMANDS_SHEET_H

#include <stdint.h>

#include "base/buffer.h"
#include "store/dataset/dataset.h"

typedef struct {
    uint32_t images;  /* fewer if the dataset has fewer */
    uint32_t columns; /* 0: a square sheet */
    uint32_t cell;    /* pixels, side of each picture on the sheet */
    uint64_t seed;    /* for the choice of records */
} an_sheet_options;

/* Append the PNG file to out. */
int an_sheet_make(const an_dataset *dataset, const an_sheet_options *options, an_buffer *out);

#endif
