/* Progress of a long job on standard error: count, rate and time left. On a terminal one line is redrawn about ten
 * times a second; elsewhere a plain line is printed every few seconds. Quiet mode prints nothing. For other programs
 * there is a form of one JSON object a line, ten times a second at most, the first at once:
 *
 *     {"inputs": 50, "total": 200, "images_per_second": 123.4, "set_aside": 3}
 *
 * inputs: done so far; total: null if unknown. The rate is called after the unit, what is counted besides after its
 * name, with low lines for blanks.
 *
 * It prints, so it belongs to programs: a library must not call it. What cannot be written is dropped, because a job
 * does not fail for its progress line. One thread at a time uses a progress; the struct is the caller's and holds no
 * resources. label and unit are kept, not copied. */
#ifndef AN_BASE_PROGRAM_PROGRESS_H
#define AN_BASE_PROGRAM_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    const char *label, *unit;          /* "ingest", "images" */
    uint64_t total;                    /* 0: unknown */
    uint64_t start_ns, next_ns, first; /* first: done at start (a resumed job), not counted in the rate */
    bool terminal, quiet, json;
    const char *counter; /* a second count, "set aside", NULL: none. Both are the caller's */
    uint64_t counted;
} an_progress;

typedef enum { AN_PROGRESS_AUTO, AN_PROGRESS_JSON, AN_PROGRESS_NONE } an_progress_form;
extern const char *const an_progress_form_names[]; /* "auto" ..., for options; NULL ends them */

void an_progress_start(an_progress *p, const char *label, const char *unit, uint64_t first, uint64_t total, bool quiet);
/* After start: JSON instead. In quiet mode nothing changes. */
void an_progress_as_json(an_progress *p);
/* note: short text after the figures ("epoch 3"), or NULL; not in JSON. Prints only when a line is due, so it may be
 * called for every item. */
void an_progress_update(an_progress *p, uint64_t done, const char *note);
void an_progress_finish(an_progress *p, uint64_t done, const char *note);

#endif
