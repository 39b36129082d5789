/* What the files of the writer share: writer.c and writer_options.c. */
#ifndef AN_LIBAN_WRITER_PRIVATE_H
#define AN_LIBAN_WRITER_PRIVATE_H

#include <an/writer.h>

#include "ingest/picture/recorder.h"

/* Check a caller's options, and say in the words of ingest/ what they ask for. *manifest: JSON text, the caller's to
 * free, also after a failure. LIBAN_EINVAL names the option. */
int an_lib_writer_options(const liban_writer_options *options, an_recorder_options *out, char **manifest);

#endif
