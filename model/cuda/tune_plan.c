/* Choosing the engine of a convolution: the one chosen before for the same operation, or the fastest of those that the
 * heuristic proposes and that suit. They are measured on memory of their own, before the network's is filled. */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "model/cuda/tune_private.h"

/* Engines with a larger workspace are passed over: all plans share one workspace, as large as the largest. */
#define WORKSPACE_MAX ((int64_t)512 << 20)

typedef struct {
    an_backend *cuda;
    an_plan plans[AN_TUNE_CANDIDATES];
    int count;
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

static int key_make(const an_backend *cuda, const an_plan_spec *spec, char key[AN_TUNE_KEY])
{
    char operation[AN_PLAN_SUBJECT + 32], subject[AN_PLAN_SUBJECT];
    an_plan_subject(spec, subject, sizeof subject);
    snprintf(operation, sizeof operation, "%s, activation %d", subject, (int)spec->activation);
    return an_tune_key(cuda, key, operation);
}

static int plans_make(field *f, const an_plan_spec *spec)
{
    char names[AN_PLAN_PROPOSALS][AN_PLAN_ENGINE_NAME];
    int count;
    int rc = an_plan_engines(spec, f->cuda->properties, names, AN_PLAN_PROPOSALS, &count);
    for (int i = 0; i < count && f->count < AN_TUNE_CANDIDATES && !rc; i++) {
        an_plan *plan = &f->plans[f->count];
        rc = an_plan_make(plan, spec, f->cuda->properties, names[i]);
        if (rc == AN_EUNSUPPORTED)
            rc = AN_OK; /* the heuristic also names engines that then refuse the graph */
        else if (!rc && plan->workspace > WORKSPACE_MAX && f->count)
            an_plan_free(plan);
        else if (!rc)
            f->count++;
    }
    return rc;
}

static int plans_bind(field *f, const an_plan_spec *spec, an_tune_scratch *scratch)
{
    size_t value = spec->precision == AN_CUDA_BF16 ? 2 : 4, workspace = 1;
    size_t x = (size_t)spec->n * (size_t)spec->h * (size_t)spec->w * (size_t)an_plan_x_pitch(spec);
    size_t y = (size_t)spec->n * (size_t)spec->oh * (size_t)spec->ow * (size_t)an_plan_y_pitch(spec);
    size_t w = (size_t)spec->k * (size_t)spec->kernel * (size_t)spec->kernel * (size_t)(spec->c / spec->groups);
    void *parts[AN_TUNE_PARTS];
    for (int i = 0; i < f->count; i++)
        if ((size_t)f->plans[i].workspace > workspace)
            workspace = (size_t)f->plans[i].workspace;
    const size_t sizes[AN_TUNE_PARTS] = {x * value, y * value, w * value, (size_t)spec->k * value, workspace};
    int rc = an_tune_scratch_make(scratch, f->cuda, sizes, parts, f->plans[0].subject);
    for (int i = 0; i < f->count && !rc; i++)
        rc = an_plan_bind(&f->plans[i], spec, parts[0], parts[1], parts[2], parts[3], parts[4]);
    return rc;
}

static int plan_measure(field *f, an_plan *plan, const an_plan_spec *spec, const char *key)
{
    an_tune_contest contest = {.key = key, .name = plan_name, .run = plan_run, .context = f};
    an_tune_scratch scratch = {0};
    double microseconds;
    int winner = 0;
    int rc = plans_make(f, spec);
    if (!rc && !f->count) /* fails too, and its message says what is missing */
        return an_plan_make(plan, spec, f->cuda->properties, NULL);
    contest.count = f->count;
    if (!rc)
        rc = plans_bind(f, spec, &scratch);
    if (!rc)
        rc = an_tune_decide(f->cuda, &contest, &winner, &microseconds);
    if (!rc) {
        *plan = f->plans[winner];
        plan->microseconds = microseconds;
        f->plans[winner] = (an_plan){0};
    }
    for (int i = 0; i < f->count; i++)
        an_plan_free(&f->plans[i]);
    an_tune_scratch_free(&scratch);
    return rc;
}

int an_tune_plan(an_backend *cuda, an_plan *plan, const an_plan_spec *spec)
{
    char key[AN_TUNE_KEY];
    if (!cuda->choices)
        return an_plan_make(plan, spec, cuda->properties, NULL);
    int rc = key_make(cuda, spec, key);
    if (rc)
        return rc;
    const an_choice *kept = an_choices_find(cuda->choices, key);
    rc = kept ? an_plan_make(plan, spec, cuda->properties, kept->name) : AN_EUNSUPPORTED;
    if (!rc)
        plan->microseconds = kept->microseconds;
    if (rc != AN_EUNSUPPORTED)
        return rc;
    field *f = calloc(1, sizeof *f);
    if (!f)
        return an_error(AN_ENOMEM, "out of memory");
    f->cuda = cuda;
    rc = plan_measure(f, plan, spec, key);
    free(f);
    return rc;
}
