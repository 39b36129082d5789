/* The header of an IDX file (Yann LeCun's format for MNIST). */
#ifndef AN_INGEST_SOURCES_IDX_PRIVATE_H
#define AN_INGEST_SOURCES_IDX_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint32_t dimensions, size[3];
    size_t header_size; /* bytes before the data */
    uint64_t data_size; /* product of the dimensions */
} an_idx_header;

/* Parse the first bytes of a file. AN_ECORRUPT if they are no IDX header, AN_EUNSUPPORTED unless it announces unsigned
 * bytes in 1 to 3 dimensions. */
int an_idx_parse(const uint8_t *data, size_t size, an_idx_header *out);

#endif
