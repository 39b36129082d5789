/* Choosing the engine of a convolution: the one chosen before for the same operation, or the fastest of those that the
 * heuristic proposes and that suit. They run on memory of their own. */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "model/cuda/tune.h"

/* Engines with a larger workspace are passed over: all plans share one workspace, as large as the largest. */
#define WORKSPACE_MAX ((int64_t)512 << 20)

enum { X, Y, W, B, ROOM }; /* the parts of the scratch memory */

typedef struct {
    an_backend *cuda;
    const an_plan_spec *spec;
    an_tune_scratch scratch;
    an_tune_contest contest;
    an_plan plans[AN_TUNE_CANDIDATES + 1]; /* those that passed, and one on trial */
    int count;                             /* that passed */
} field;

static const char *plan_name(const void *context, int candidate)
{
    return ((const field *)context)->plans[candidate].name;
}

static int plan_run(void *context, int candidate)
{
    const field *f = context;
    return an_plan_run(&f->plans[candidate], f->cuda->cudnn);
}

static int scratch_make(field *f)
{
    const an_plan_spec *spec = f->spec;
    size_t value = spec->precision == AN_CUDA_BF16 ? 2 : 4;
    size_t x = (size_t)spec->n * (size_t)spec->h * (size_t)spec->w * (size_t)an_plan_x_pitch(spec);
    size_t y = (size_t)spec->n * (size_t)spec->oh * (size_t)spec->ow * (size_t)an_plan_y_pitch(spec);
    size_t w = (size_t)spec->k * (size_t)spec->kernel * (size_t)spec->kernel * (size_t)(spec->c / spec->groups);
    const size_t sizes[AN_TUNE_PARTS] = {
        [X] = x * value, [Y] = y * value, [W] = w * value, [B] = (size_t)spec->k * value, [ROOM] = AN_PROOF_ROOM};
    return an_tune_scratch_make(&f->scratch, f->cuda, sizes, f->contest.operation);
}

/* Names the operation and begins the proof of its candidates. */
static int field_begin(field *f, an_backend *cuda, const an_plan_spec *spec)
{
    char subject[AN_PLAN_SUBJECT];
    f->cuda = cuda;
    f->spec = spec;
    f->contest = (an_tune_contest){.library = "cuDNN", .name = plan_name, .run = plan_run, .context = f};
    an_plan_subject(spec, subject, sizeof subject);
    snprintf(f->contest.operation, sizeof f->contest.operation, "%s, activation %d", subject, (int)spec->activation);
    int rc = an_tune_key(cuda, &f->contest);
    if (rc)
        return rc;
    rc = scratch_make(f);
    if (rc)
        return rc;
    void *const *parts = f->scratch.parts;
    f->contest.proof = (an_proof){.stream = cuda->compute, .room = parts[ROOM]};
    return an_proof_conv(&f->contest.proof, spec, &(an_proof_tensors){parts[X], parts[W], parts[Y], parts[B]});
}

static int plan_bind(field *f, int number)
{
    void *const *parts = f->scratch.parts;
    return an_plan_bind(&f->plans[number], f->spec, parts[X], parts[Y], parts[W], parts[B], f->scratch.workspace);
}

/* Tries the plan behind those that passed; it is freed if it does not pass. */
static int plan_prove(field *f, bool *passed)
{
    an_plan *plan = &f->plans[f->count];
    *passed = false;
    int rc = an_tune_scratch_reserve(&f->scratch, f->cuda, (size_t)plan->workspace, f->contest.operation);
    if (!rc)
        rc = plan_bind(f, f->count);
    if (!rc)
        rc = an_tune_prove(f->cuda, &f->contest, f->count, passed);
    if (*passed)
        f->count++;
    else
        an_plan_free(plan);
    return rc;
}

/* The engine that was chosen before, if it can still be made and passes. */
static int kept_try(field *f, double *microseconds)
{
    const an_choice *kept = an_tune_kept(f->cuda, &f->contest);
    bool passed = false;
    if (!kept)
        return AN_OK;
    *microseconds = kept->microseconds;
    int rc = an_plan_make(&f->plans[0], f->spec, f->cuda->properties, kept->name);
    if (rc && rc != AN_EUNSUPPORTED)
        return rc;
    rc = rc ? AN_OK : plan_prove(f, &passed);
    if (rc || passed)
        return rc;
    return an_tune_kept_tell(f->cuda, &f->contest, kept);
}

/* The engine of that name. The heuristic also names some that then refuse the graph. */
static int engine_try(field *f, const char *name)
{
    an_plan *plan = &f->plans[f->count];
    bool passed;
    int rc = an_plan_make(plan, f->spec, f->cuda->properties, name);
    if (rc)
        return rc == AN_EUNSUPPORTED ? AN_OK : rc;
    if (plan->workspace <= WORKSPACE_MAX || !f->count)
        return plan_prove(f, &passed);
    an_plan_free(plan);
    return AN_OK;
}

/* Collects up to enough engines that pass, in the heuristic's order. */
static int engines_try(field *f, int enough)
{
    char names[AN_PLAN_PROPOSALS][AN_PLAN_ENGINE_NAME];
    int count;
    int rc = an_plan_engines(f->spec, f->cuda->properties, names, AN_PLAN_PROPOSALS, &count);
    for (int i = 0; i < count && f->count < enough && f->contest.stale < AN_TUNE_STALE && !rc; i++)
        rc = engine_try(f, names[i]);
    if (rc)
        return rc;
    return f->count ? AN_OK : an_tune_none(&f->contest);
}

static int fastest_find(field *f, int *winner, double *microseconds)
{
    int rc = an_tune_clock_make(f->cuda, &f->contest);
    if (!rc)
        rc = engines_try(f, AN_TUNE_CANDIDATES);
    for (int i = 0; i < f->count && !rc; i++)
        rc = plan_bind(f, i); /* the workspace may have moved */
    if (rc)
        return rc;
    return an_tune_decide(f->cuda, &f->contest, f->count, winner, microseconds);
}

static int choose(field *f, an_plan *plan)
{
    double microseconds = 0;
    int winner = 0;
    int rc = kept_try(f, &microseconds);
    if (!rc && !f->count)
        rc = f->cuda->choices ? fastest_find(f, &winner, &microseconds) : engines_try(f, 1);
    if (rc)
        return rc;
    *plan = f->plans[winner];
    plan->microseconds = microseconds;
    f->plans[winner] = (an_plan){0};
    return AN_OK;
}

int an_tune_plan(an_backend *cuda, an_plan *plan, const an_plan_spec *spec)
{
    field *f = calloc(1, sizeof *f);
    if (!f)
        return an_error(AN_ENOMEM, "out of memory");
    int rc = field_begin(f, cuda, spec);
    if (!rc)
        rc = choose(f, plan);
    for (int i = 0; i <= AN_TUNE_CANDIDATES; i++)
        an_plan_free(&f->plans[i]);
    an_tune_clock_free(&f->contest);
    an_tune_scratch_free(&f->scratch, cuda);
    free(f);
    return rc;
}
