/* What the parts of a plan's making share: plan.c states the graph, plan_engine.c finds who computes it. */
#ifndef AN_MODEL_CUDA_LIBRARY_PLAN_PRIVATE_H
#define AN_MODEL_CUDA_LIBRARY_PLAN_PRIVATE_H

#include "model/cuda/library/plan.h"

/* A descriptor that belongs to the plan, and away with the one made last. */
int an_plan_part(an_plan *plan, cudnnBackendDescriptorType_t type, cudnnBackendDescriptor_t *out);
void an_plan_part_drop(an_plan *plan);

/* Attributes are set one after another; the first failure stays and the rest is skipped. */
typedef struct {
    const an_plan *plan;
    cudnnBackendDescriptor_t target;
    int rc;
} an_plan_setter;

void an_plan_set(an_plan_setter *s, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type, int64_t count,
                 const void *values);
void an_plan_set_part(an_plan_setter *s, cudnnBackendAttributeName_t name, cudnnBackendDescriptor_t value);
int an_plan_finalize(an_plan_setter *s);

/* An engine with its settings, as the heuristic proposes it for a graph. */
typedef struct {
    cudnnBackendDescriptor_t config;
    int64_t engine;
    char name[AN_PLAN_ENGINE_NAME];
} an_plan_proposal;

/* Those that suit, best first. A mode that cuDNN does not have for this graph proposes nothing. */
int an_plan_proposals(an_plan *plan, const an_plan_spec *spec, cudnnBackendDescriptor_t graph,
                      cudnnBackendDescriptor_t device, cudnnBackendHeurMode_t mode,
                      an_plan_proposal out[AN_PLAN_PROPOSALS], int *count);
/* Makes it the plan's; taken is false where the engine does not take this graph after all, which is no error. */
int an_plan_accept(an_plan *plan, const an_plan_proposal *proposal, cudnnBackendDescriptor_t device, bool *taken);

#endif
