/* Finding an engine for a graph: cuDNN's heuristic proposes engines with settings ("knobs"), of which only some compute
 * with the precision that is asked for, and the same in every run. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "model/cuda/library/check.h"
#include "model/cuda/library/plan_private.h"

#define KNOBS_MAX CUDNN_KNOB_TYPE_COUNTS

typedef cudnnBackendDescriptor_t descriptor;

static int ask(const an_plan *plan, descriptor from, cudnnBackendAttributeName_t name, cudnnBackendAttributeType_t type,
               int64_t room, int64_t *count, void *out)
{
    return an_cudnn_check(cudnnBackendGetAttribute(from, name, type, room, count, out),
                          "ask for cuDNN attribute %d of %s", (int)name, plan->subject);
}

/* Whether an engine with these notes computes with the precision that is asked for, and the same in every run. */
static bool notes_suit(const an_plan_spec *spec, const cudnnBackendNumericalNote_t *notes, int64_t count)
{
    for (int64_t i = 0; i < count; i++)
        if (notes[i] == CUDNN_NUMERICAL_NOTE_NONDETERMINISTIC ||
            notes[i] == CUDNN_NUMERICAL_NOTE_REDUCED_PRECISION_REDUCTION ||
            (spec->precision == AN_CUDA_F32 &&
             (notes[i] == CUDNN_NUMERICAL_NOTE_TENSOR_CORE || notes[i] == CUDNN_NUMERICAL_NOTE_DOWN_CONVERT_INPUTS)))
            return false;
    return true;
}

static int engine_look(an_plan *plan, const an_plan_spec *spec, an_plan_proposal *proposal, bool *suits)
{
    cudnnBackendNumericalNote_t notes[CUDNN_NUMERICAL_NOTE_TYPE_COUNT];
    int64_t count = 0, got = 0;
    descriptor engine;
    int rc = an_plan_part(plan, CUDNN_BACKEND_ENGINE_DESCRIPTOR, &engine);
    if (rc)
        return rc;
    rc = ask(plan, proposal->config, CUDNN_ATTR_ENGINECFG_ENGINE, CUDNN_TYPE_BACKEND_DESCRIPTOR, 1, &got, &engine);
    if (!rc)
        rc = ask(plan, engine, CUDNN_ATTR_ENGINE_NUMERICAL_NOTE, CUDNN_TYPE_NUMERICAL_NOTE,
                 CUDNN_NUMERICAL_NOTE_TYPE_COUNT, &count, notes);
    if (!rc)
        rc = ask(plan, engine, CUDNN_ATTR_ENGINE_GLOBAL_INDEX, CUDNN_TYPE_INT64, 1, &got, &proposal->engine);
    an_plan_part_drop(plan);
    *suits = !rc && notes_suit(spec, notes, count);
    return rc;
}

/* Appends " knob=value" to text. */
static int knob_name(const an_plan *plan, descriptor knob, char *text, size_t size)
{
    cudnnBackendKnobType_t type;
    int64_t value = 0, got = 0;
    size_t length = strlen(text);
    int rc = ask(plan, knob, CUDNN_ATTR_KNOB_CHOICE_KNOB_TYPE, CUDNN_TYPE_KNOB_TYPE, 1, &got, &type);
    if (!rc)
        rc = ask(plan, knob, CUDNN_ATTR_KNOB_CHOICE_KNOB_VALUE, CUDNN_TYPE_INT64, 1, &got, &value);
    if (!rc && (size_t)snprintf(text + length, size - length, " %d=%lld", (int)type, (long long)value) >= size - length)
        rc = an_error(AN_EINTERNAL, "too many settings of an engine for %s", plan->subject);
    return rc;
}

/* The engine's number and its settings: the same engine with other settings is another kernel. */
static int proposal_name(an_plan *plan, an_plan_proposal *proposal)
{
    descriptor knobs[KNOBS_MAX];
    int64_t count = 0;
    int rc = AN_OK, made = 0;
    snprintf(proposal->name, sizeof proposal->name, "%lld", (long long)proposal->engine);
    while (made < KNOBS_MAX && !rc) {
        rc = an_plan_part(plan, CUDNN_BACKEND_KNOB_CHOICE_DESCRIPTOR, &knobs[made]);
        made += !rc;
    }
    if (!rc)
        rc = ask(plan, proposal->config, CUDNN_ATTR_ENGINECFG_KNOB_CHOICES, CUDNN_TYPE_BACKEND_DESCRIPTOR, KNOBS_MAX,
                 &count, knobs);
    for (int64_t i = 0; i < count && i < KNOBS_MAX && !rc; i++)
        rc = knob_name(plan, knobs[i], proposal->name, sizeof proposal->name);
    while (made-- > 0)
        an_plan_part_drop(plan);
    return rc;
}

static int configs_ask(an_plan *plan, descriptor graph, descriptor device, cudnnBackendHeurMode_t mode,
                       descriptor configs[AN_PLAN_PROPOSALS], int64_t *count)
{
    descriptor heuristic;
    int rc = an_plan_part(plan, CUDNN_BACKEND_ENGINEHEUR_DESCRIPTOR, &heuristic);
    an_plan_setter s = {plan, heuristic, rc};
    an_plan_set_part(&s, CUDNN_ATTR_ENGINEHEUR_OPERATION_GRAPH, graph);
    an_plan_set(&s, CUDNN_ATTR_ENGINEHEUR_MODE, CUDNN_TYPE_HEUR_MODE, 1, &mode);
    an_plan_set_part(&s, CUDNN_ATTR_ENGINEHEUR_DEVICEPROP, device);
    *count = 0;
    rc = an_plan_finalize(&s);
    if (rc)
        return rc == AN_EUNSUPPORTED ? AN_OK : rc;
    for (int i = 0; i < AN_PLAN_PROPOSALS && !rc; i++)
        rc = an_plan_part(plan, CUDNN_BACKEND_ENGINECFG_DESCRIPTOR, &configs[i]);
    if (rc)
        return rc;
    return ask(plan, heuristic, CUDNN_ATTR_ENGINEHEUR_RESULTS, CUDNN_TYPE_BACKEND_DESCRIPTOR, AN_PLAN_PROPOSALS, count,
               configs);
}

int an_plan_proposals(an_plan *plan, const an_plan_spec *spec, descriptor graph, descriptor device,
                      cudnnBackendHeurMode_t mode, an_plan_proposal out[AN_PLAN_PROPOSALS], int *count)
{
    descriptor configs[AN_PLAN_PROPOSALS];
    int64_t found;
    *count = 0;
    int rc = configs_ask(plan, graph, device, mode, configs, &found);
    for (int64_t i = 0; i < found && i < AN_PLAN_PROPOSALS && !rc; i++) {
        an_plan_proposal proposal = {.config = configs[i]};
        bool suits;
        rc = engine_look(plan, spec, &proposal, &suits);
        if (rc || !suits)
            continue;
        rc = proposal_name(plan, &proposal);
        if (!rc)
            out[(*count)++] = proposal;
    }
    return rc;
}

int an_plan_accept(an_plan *plan, const an_plan_proposal *proposal, descriptor device, bool *taken)
{
    descriptor made;
    int64_t got;
    int rc = an_plan_part(plan, CUDNN_BACKEND_EXECUTION_PLAN_DESCRIPTOR, &made);
    an_plan_setter s = {plan, made, rc};
    an_plan_set_part(&s, CUDNN_ATTR_EXECUTION_PLAN_ENGINE_CONFIG, proposal->config);
    an_plan_set_part(&s, CUDNN_ATTR_EXECUTION_PLAN_DEVICEPROP, device);
    if (s.rc)
        return s.rc;
    *taken = cudnnBackendFinalize(made) == CUDNN_STATUS_SUCCESS;
    if (!*taken) {
        an_plan_part_drop(plan);
        return AN_OK;
    }
    plan->plan = made;
    plan->engine = proposal->engine;
    memcpy(plan->name, proposal->name, sizeof plan->name);
    return ask(plan, made, CUDNN_ATTR_EXECUTION_PLAN_WORKSPACE_SIZE, CUDNN_TYPE_INT64, 1, &got, &plan->workspace);
}
