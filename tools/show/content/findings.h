/* The result of an evaluation by class, and the images that it got wrong. */
#ifndef AN_TOOLS_SHOW_CONTENT_FINDINGS_H
#define AN_TOOLS_SHOW_CONTENT_FINDINGS_H

#include "tools/show/content/viewer.h"
#include "train/loop/evaluate.h"

typedef struct {
    an_evaluation result;
    an_confusion confusion;
    an_prediction *mistakes; /* the most confident ones, most confident first */
    uint32_t mistake_count, mistakes_wanted;
} an_findings;

/* Evaluate every image of dataset and keep at most `mistakes` mistakes. AN_STOPPED after a signal. */
int an_findings_make(an_findings *out, an_viewer *viewer, const an_dataset *dataset, uint32_t mistakes);
void an_findings_free(an_findings *findings); /* zeroed is fine */

/* The share of a class's images that are classified correctly, 0..1; 0 for a class without images. */
double an_findings_share(const an_findings *findings, uint32_t label);
/* Classes that have images, best first; out holds as many as there are classes. Returns how many. */
uint32_t an_findings_order(const an_findings *findings, uint32_t *out);

#endif
