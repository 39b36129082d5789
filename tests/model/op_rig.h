/* An operation behind a source, on one backend, for tests that feed it by hand. */
#ifndef AN_TESTS_MODEL_OP_RIG_H
#define AN_TESTS_MODEL_OP_RIG_H

#include "model/backend.h"

/* A kind of device as it is to be tested. */
typedef struct {
    const an_backend_api *api;
    an_precision precision;
    bool direct, winograd;
    double tolerance; /* relative to the largest value; the case's applies if larger */
    int threads;      /* 0: 2 */
    an_choices *choices;
    uint32_t top;                /* of results; 0: 5 */
    double label_smoothing;      /* of the loss */
    const double *class_weights; /* NULL: all 1 */
} an_test_target;

typedef enum { FROM_IMAGE, FROM_CONV, FROM_HALVES, FROM_DENSE } an_test_source;

typedef struct {
    const char *name;
    an_test_source source;
    int n, c, side; /* shape of the op's input: n x c x side x side */
    an_node node;
    double tolerance;
    bool first; /* the op reads the image, so it computes no gradient of its input */
} an_test_case;

/* An op behind its source, on one backend. */
typedef struct {
    const an_backend_api *api;
    an_backend *backend;
    an_graph graph;
    an_op *source, *op;
    const an_node *source_node, *node;
    int batch;
    size_t inputs, outputs, weights; /* values */
    double tolerance;
} an_test_rig;

void an_test_rig_make(an_test_rig *r, const an_test_target *t, const an_test_case *c, bool training, bool accumulate);
void an_test_rig_weights(an_test_rig *r, const float *weight,
                         const float *bias); /* does nothing for ops without weights */

#endif
