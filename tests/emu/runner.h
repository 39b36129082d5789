/* A network on emulated GPUs with a batch of images, for tests. Failures end the test. */
#ifndef AN_TESTS_EMU_RUNNER_H
#define AN_TESTS_EMU_RUNNER_H

#include "model/exec.h"

#define BATCH 4

extern const uint32_t runner_labels[BATCH];
/* A learning rate so small that rounding errors do not grow into different losses within the steps compared. */
extern an_sgd runner_sgd;
extern an_buffer *runner_notes; /* gets the notes of networks that are made; NULL: nothing does */

typedef struct {
    an_exec *exec;
    void *pixels; /* in the format that the exec asks for */
    an_image_draw *draws;
    an_images images; /* both */
    size_t size;
} runner;

void runner_make(runner *r, const an_graph *graph, const char *devices, an_precision precision, bool columns);
void runner_make_with(runner *r, const an_graph *graph, const char *devices, an_precision precision, bool columns,
                      an_choices *choices);
void runner_free(runner *r);
double runner_step(runner *r, uint64_t step, uint32_t count);      /* with update; returns the loss */
void runner_compare(an_exec *one, an_exec *two, double tolerance); /* their weights */
void runner_copy(an_exec *from, an_exec *to);                      /* weights and momentum */
void runner_no_violations(void);
/* Leaves AlexNet a sixteenth of its hidden units: all of its layers, and few of its weights, nearly all of which lie
 * between those units. */
void runner_narrow(an_graph *alexnet);

#endif
