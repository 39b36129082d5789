/* What the lines of type start in metrics.jsonl tell of a run: the program and the validation sets of its last process.
 * A plain value of its owner. */
#ifndef AN_TOOLS_SHOW_CONTENT_ORIGIN_H
#define AN_TOOLS_SHOW_CONTENT_ORIGIN_H

#define AN_ORIGIN_SETS_MAX 16 /* further ones are passed over */

typedef struct {
    char *program; /* "an-train 0.1.0 (commit 0123456789ab)"; NULL: not told, as by versions that wrote no such lines */
    char *validation[AN_ORIGIN_SETS_MAX]; /* paths */
    int validations;
} an_origin;

struct json_t;

/* Replace what is known by what this line tells. AN_ENOMEM without memory. */
int an_origin_read(an_origin *origin, const struct json_t *event);
void an_origin_free(an_origin *origin); /* zeroed is fine */

#endif
