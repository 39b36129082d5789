/* What plan.c, which states the graph, and plan_engine.c, which finds an engine for it, share. Descriptors belong to
 * the plan. */
#ifndef AN_MODEL_CUDA_LIBRARY_PLAN_PRIVATE_H
#define AN_MODEL_CUDA_LIBRARY_PLAN_PRIVATE_H

#include "model/cuda/library/plan.h"

/* Makes a descriptor that belongs to the plan; destroys the one that was made last. */
int an_plan_part(an_plan *plan, cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *out);
void an_plan_part_drop(an_plan *plan);

/* Sets the attributes of a descriptor. After the first failure, which is kept in rc, further calls do nothing. */
typedef struct {
    const an_plan *plan;
    cudnnBackendDescriptor_t target;
    int rc;
} an_plan_setter;

void an_plan_set(an_plan_setter *s, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                 const void *values);
void an_plan_set_part(an_plan_setter *s, cudnnBackendAttributeName_t name, cudnnBackendDescriptor_t value);
int an_plan_finalize(an_plan_setter *s);

/* An engine with its settings, as proposed by the heuristic for a graph. */
typedef struct {
    cudnnBackendDescriptor_t config;
    int64_t engine;
    char name[AN_PLAN_ENGINE_NAME];
} an_plan_proposal;

/* The proposals that suit, best first. If cuDNN does not support the mode for this graph, there are none. */
int an_plan_proposals(an_plan *plan, const an_plan_spec *spec, cudnnBackendDescriptor_t graph,
                      cudnnBackendDescriptor_t device, cudnnBackendHeurMode_t mode,
                      an_plan_proposal out[AN_PLAN_PROPOSALS], int *count);
/* Makes the plan's execution plan from a proposal. If the engine refuses the graph after all, taken is false, which is
 * no error. */
int an_plan_accept(an_plan *plan, const an_plan_proposal *proposal, cudnnBackendDescriptor_t device, bool *taken);

#endif
