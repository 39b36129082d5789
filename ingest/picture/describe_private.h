/* Names what an undecodable file is, for the reason given when it is set aside. */
#ifndef AN_INGEST_PICTURE_DESCRIBE_PRIVATE_H
#define AN_INGEST_PICTURE_DESCRIBE_PRIVATE_H

#include <stddef.h>
#include <stdint.h>

/* By the first bytes, never by the name: "WebP image", "GIF image", "text", "zip archive", "not an image" ... */
const char *an_picture_describe(const uint8_t *data, size_t size);

#endif
