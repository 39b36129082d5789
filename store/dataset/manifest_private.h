/* A manifest is a JSON object that says what a dataset was made from, and how. Any thread may call these. */
#ifndef AN_STORE_DATASET_MANIFEST_PRIVATE_H
#define AN_STORE_DATASET_MANIFEST_PRIVATE_H

#include <stdbool.h>
#include <stddef.h>

int an_manifest_check(const char *manifest); /* AN_EINVAL unless it is a JSON object */

/* 0 if both say the same. Otherwise AN_EINVAL, and the message gives the first key (in byte order) that differs, and
 * both values: "quality was 90 and is 75 now". */
int an_manifest_compare(const char *before, const char *now);

/* The string that a manifest has under key. False if there is none, if it does not fit, or if the manifest is not JSON.
 */
bool an_manifest_string(const char *manifest, const char *key, char *out, size_t size);

#endif
