/* The kinds of sources: what source.c chooses from. Private to the source files. */
#ifndef AN_INGEST_SOURCES_SOURCE_PRIVATE_H
#define AN_INGEST_SOURCES_SOURCE_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

#include "ingest/sources/listing_private.h"
#include "ingest/sources/source.h"

int an_source_folder_open(an_source **out, const an_source_options *options);
int an_source_idx_open(an_source **out, const an_source_options *options);
int an_source_tar_open(an_source **out, const an_source_options *options);
int an_source_shards_open(an_source **out, const an_source_options *options); /* a folder of tars */
int an_source_list_open(an_source **out, const an_source_options *options);
int an_source_cifar_open(an_source **out, const an_source_options *options);
int an_source_stream_open(an_source **out, const an_source_options *options); /* a tar on standard input */
int an_source_dataset_open(an_source **out, const an_source_options *options);

/* The IDX header of unsigned bytes (Yann LeCun's MNIST format): AN_ECORRUPT unless it is one of 1 to 3 dimensions that
 * fits in memory. *header_size: bytes before the data; *data_size: the product of the dimensions. */
typedef struct {
    uint32_t dimensions, size[3];
    size_t header_size;
    uint64_t data_size;
} an_idx_header;
int an_idx_parse(const uint8_t *data, size_t size, an_idx_header *out);

#endif
