/* Names inside webdataset tars: the members of one sample share the key before the first dot of the last path part. */
#ifndef AN_INGEST_SOURCES_ARCHIVE_WEBDATASET_PRIVATE_H
#define AN_INGEST_SOURCES_ARCHIVE_WEBDATASET_PRIVATE_H

#include <stdbool.h>

const char *an_webdataset_extension(const char *name); /* ".jpg", ".seg.png"; "" if none */
bool an_webdataset_same_key(const char *a, const char *b);
bool an_webdataset_is_image(const char *name);
bool an_webdataset_is_class(const char *name); /* .cls */

/* *class_id: the first word of a .cls file's text; text is changed. AN_ECORRUPT if there is no word. */
int an_webdataset_class(char *text, const char **class_id);

#endif
