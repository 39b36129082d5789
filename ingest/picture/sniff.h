/* What a file is, by its first bytes and never by its name. */
#ifndef AN_INGEST_PICTURE_SNIFF_H
#define AN_INGEST_PICTURE_SNIFF_H

#include <stddef.h>
#include <stdint.h>

typedef enum { AN_FILE_JPEG, AN_FILE_PNG, AN_FILE_OTHER } an_file_kind;

an_file_kind an_sniff(const uint8_t *data, size_t size);

/* For a file of kind OTHER: "WebP image", "GIF image", "text", "zip archive", "not an image" ... */
const char *an_sniff_describe(const uint8_t *data, size_t size);

#endif
