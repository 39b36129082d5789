/* Progress of a long job on standard error: count, rate and ETA. On a terminal one line is redrawn about ten times a
 * second; elsewhere a plain line is printed every few seconds. Quiet mode prints nothing. */
#ifndef AN_BASE_PROGRAM_PROGRESS_H
#define AN_BASE_PROGRAM_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const char *label, *unit;          /* "ingest", "images" */
    uint64_t total;                    /* 0: unknown */
    uint64_t start_ns, next_ns, first; /* first: done at start (a resumed job), not counted in the rate */
    bool terminal, quiet;
} an_progress;

void an_progress_start(an_progress *p, const char *label, const char *unit, uint64_t first, uint64_t total, bool quiet);
/* note: short text after the figures ("3 set aside"), or NULL. Cheap when nothing is due. */
void an_progress_update(an_progress *p, uint64_t done, const char *note);
void an_progress_finish(an_progress *p, uint64_t done, const char *note);

#endif
