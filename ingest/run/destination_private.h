/* Whether a destination can be written, asked before the source is looked at, which may take minutes. */
#ifndef AN_INGEST_RUN_DESTINATION_PRIVATE_H
#define AN_INGEST_RUN_DESTINATION_PRIVATE_H

/* Writes nothing. AN_EINVAL, with the remedy, for a destination that is empty, exists or lies in the source: a run that
 * goes on would find its own output among the images. Other codes if the system refuses: read-only, a name too long. */
int an_destination_check(const char *source, const char *destination);

#endif
