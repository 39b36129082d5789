#include "tools/show/views/predict.h"

#include <math.h>
#include <stdlib.h>

#include "base/program/stop.h"

typedef struct {
    an_viewer *viewer;
    an_sampler *sampler; /* made for side */
    an_sample_scratch *scratch;
    uint32_t side;
    uint8_t *inputs;
    an_image_draw *draws;
    float *probabilities;
    an_subject *batch;
    uint32_t count;
} predictor;

static int sampler_for(predictor *p, uint32_t side)
{
    if (p->side == side)
        return AN_OK;
    an_sample_scratch_free(p->scratch);
    an_sampler_free(p->sampler);
    p->scratch = NULL;
    p->sampler = NULL;
    int rc = an_viewer_sampler(p->viewer, side, &p->sampler);
    if (!rc)
        rc = an_sample_scratch_create(&p->scratch, p->sampler);
    p->side = rc ? 0 : side;
    return rc;
}

static int open_predictor(predictor *p)
{
    size_t batch = (size_t)p->viewer->options.batch;
    int rc = sampler_for(p, p->viewer->trained.input.side);
    if (rc < 0)
        return rc;
    p->inputs = aligned_alloc(64, (batch * an_sampler_bytes(p->sampler) + 63) / 64 * 64);
    p->draws = calloc(batch, sizeof(*p->draws));
    p->probabilities = malloc(batch * p->viewer->classes * sizeof(float));
    p->batch = calloc(batch, sizeof(*p->batch));
    return p->inputs && p->draws && p->probabilities && p->batch ? AN_OK
                                                                 : an_error(AN_ENOMEM, "out of memory for a batch");
}

static void close_predictor(predictor *p)
{
    for (uint32_t i = 0; i < p->count; i++)
        an_subject_free(&p->batch[i]);
    free(p->batch);
    free(p->probabilities);
    free(p->inputs);
    free(p->draws);
    an_sample_scratch_free(p->scratch);
    an_sampler_free(p->sampler);
}

/* The decoded image as a record, through the same code as training. */
static int input_make(predictor *p, const an_subject *s, uint32_t at)
{
    uint32_t side = s->image.width;
    an_record record = {.header = {.codec = AN_CODEC_RGB, .width = side, .height = side, .length = 3 * side * side},
                        .payload = s->image.pixels};
    an_sample_draw centre;
    int rc = sampler_for(p, side);
    if (rc < 0)
        return rc;
    an_sampler_draw(p->sampler, 0, 0, 0, &centre);
    p->draws[at] = AN_IMAGE_DRAW(.x = centre.x, .y = centre.y);
    return an_sampler_make(p->sampler, p->scratch, &record, &centre, p->inputs + at * an_sampler_bytes(p->sampler));
}

/* Values that are not finite have no order, so no class would be the most probable one. */
static int outputs_check(const predictor *p)
{
    uint32_t classes = p->viewer->classes;
    for (size_t i = 0; i < (size_t)p->count * classes; i++)
        if (!isfinite(p->probabilities[i]))
            return an_error(AN_ECORRUPT,
                            "'%s': the network's outputs are not finite: its weights are damaged or its training "
                            "diverged; use an earlier checkpoint",
                            p->batch[i / classes].name);
    return AN_OK;
}

static int flush(predictor *p, const an_predict_watcher *watcher)
{
    uint32_t classes = p->viewer->classes;
    an_images images = {.pixels = p->inputs, .draws = p->draws};
    int rc = p->count ? an_exec_evaluate(p->viewer->exec, &images, NULL, p->count, p->probabilities, NULL) : AN_OK;
    if (rc == AN_ECORRUPT)
        rc = an_error_prefix(rc, "'%s'", p->viewer->trained.path);
    if (!rc)
        rc = outputs_check(p);
    for (uint32_t i = 0; !rc && i < p->count; i++) {
        an_subject *s = &p->batch[i];
        rc =
            an_prediction_make(&s->said, s->index, (uint32_t)s->label, p->probabilities + (size_t)i * classes, classes);
        if (!rc)
            rc = watcher->tell(watcher->context, s);
    }
    for (uint32_t i = 0; i < p->count; i++)
        an_subject_free(&p->batch[i]);
    p->count = 0;
    return rc;
}

/* Take the next image into the batch. */
static int take(predictor *p, an_subjects *subjects, uint64_t *unusable, an_error_state *reason)
{
    int rc = an_subjects_next(subjects, &p->batch[p->count]);
    if (rc == AN_ECORRUPT || rc == AN_EUNSUPPORTED) {
        if ((*unusable)++ == 0)
            an_error_save(reason, rc);
        return AN_OK;
    }
    if (rc)
        return rc;
    p->count++;
    return input_make(p, &p->batch[p->count - 1], p->count - 1);
}

int an_predict(an_viewer *viewer, an_subjects *subjects, const an_predict_watcher *watcher, uint64_t *unusable,
               an_error_state *reason)
{
    predictor p = {.viewer = viewer};
    *unusable = 0;
    int rc = open_predictor(&p);
    an_stop_at_once(false); /* what was predicted is kept */
    while (!rc) {
        rc = an_stop_requested() ? AN_STOPPED : take(&p, subjects, unusable, reason);
        if (rc == AN_END || (!rc && p.count == (uint32_t)viewer->options.batch)) {
            int flushed = flush(&p, watcher);
            rc = flushed ? flushed : rc;
        }
    }
    an_stop_at_once(true);
    close_predictor(&p);
    return rc == AN_END ? AN_OK : rc;
}
