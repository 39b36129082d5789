/* Manifests: the JSON objects that say what a dataset was made from and how. */
#ifndef AN_STORE_DATASET_MANIFEST_H
#define AN_STORE_DATASET_MANIFEST_H

int an_manifest_check(const char *manifest); /* AN_EINVAL unless it is a JSON object */

/* AN_OK if both say the same. Otherwise AN_EINVAL, and the message names the first key (in byte order) that differs
 * with both values: "quality was 90 and is 75 now". */
int an_manifest_compare(const char *before, const char *now);

#endif
