#include "train/loop/trainer_private.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "base/error.h"
#include "base/file.h"
#include "base/program/stop.h"
#include "train/state/engines.h"

/* --last auto goes on as the run was begun. */
static int adopt_last(an_trainer *t, const an_checkpoint *c)
{
    an_train_config theirs = {0};
    if (!c || t->config->last != AN_TRAIN_LAST_AUTO)
        return AN_OK;
    int rc = an_train_recipe_parse(&theirs, an_checkpoint_identity(c)->recipe, an_checkpoint_path(c));
    if (rc)
        return rc;
    t->own.last = theirs.last;
    an_session_count_steps(&t->session);
    return AN_OK;
}

/* Fresh weights, or those of the checkpoint that --resume means; c NULL: none. What is measured for --decode auto
 * clears the momentum, so it comes before a checkpoint brings its own, with random weights: the file of --weights may
 * be gone. */
static int begin(an_trainer *t, an_checkpoint *c)
{
    int rc = AN_OK;
    if (!c)
        rc = an_session_start_weights(&t->session);
    else if (an_session_measures_decoding(&t->session))
        rc = an_session_start_random(&t->session);
    if (!rc)
        rc = an_session_choose_decoding(&t->session, c ? an_checkpoint_state(c)->step : 0);
    if (!rc && c)
        rc = an_trainer_restore(t, c);
    if (!rc && t->run)
        rc = an_run_check_names(t->run, t->state.step, t->session.total_steps);
    return rc;
}

static int identify(an_trainer *t)
{
    t->own.class_weights = t->session.data.class_weights_name;
    int rc = an_train_config_recipe(t->config, &t->recipe);
    if (rc)
        return rc;
    rc = an_buffer_append(&t->recipe, "", 1);
    if (rc)
        return rc;
    if (t->group)
        rc = an_buffer_printf(&t->machine, "%d ranks of ", an_group_world(t->group));
    if (rc)
        return rc;
    rc = an_buffer_printf(&t->machine, "%d compute threads for '%s' on %s", t->session.compute_threads,
                          t->config->devices, an_cpu_describe());
    t->identity = (an_train_identity){.recipe = (const char *)t->recipe.data,
                                      .dataset = an_dataset_path(t->session.data.training),
                                      .fingerprint = an_dataset_fingerprint(t->session.data.training),
                                      .classes = t->session.data.class_ids,
                                      .total_steps = t->session.all_steps,
                                      .machine = (const char *)t->machine.data};
    return rc;
}

/* Open the files that a run adds to. Only now is it known from which step on: later lines of them are dropped. */
static int open_records(an_trainer *t)
{
    if (!t->run)
        return AN_OK;
    int rc = an_file_replace(an_run_path(t->run, "recipe.txt"), t->recipe.data, t->recipe.size - 1);
    if (rc)
        return rc;
    rc = an_engines_save(&t->session.choices, an_run_path(t->run, "engines.txt"));
    if (rc)
        return rc;
    rc = an_metrics_open(&t->metrics, an_run_path(t->run, "metrics.jsonl"), t->state.step);
    if (rc || !t->config->tensorboard)
        return rc;
    return an_tensorboard_open(&t->board, an_run_path(t->run, "tensorboard"), t->state.step);
}

static int tell_lines(an_trainer *t, an_buffer *lines)
{
    int rc = an_buffer_append(lines, "", 1);
    for (char *rest = (char *)lines->data, *line; !rc && (line = strsep(&rest, "\n")) && rest;)
        rc = an_trainer_tell_text(t, AN_EVENT_WARNING, line);
    return rc;
}

static int make_guard(an_trainer *t)
{
    const an_train_data *data = &t->session.data;
    const an_index_entry *index = an_dataset_index(data->training);
    uint64_t count = data->subset ? data->subset_count : an_dataset_count(data->training);
    uint64_t *of_class = calloc((size_t)data->classes, sizeof(*of_class));
    if (!of_class)
        return an_error(AN_ENOMEM, "out of memory for %d classes", data->classes);
    for (uint64_t i = 0; i < count; i++)
        of_class[index[data->subset ? data->subset[i] : i].label]++;
    t->guard = an_guard_make(data->classes, an_guard_guessing(of_class, data->classes));
    free(of_class);
    return AN_OK;
}

/* What a rank steps on where an epoch's last step has no image for it. */
static int make_black(an_trainer *t)
{
    an_black_image *b = &t->black;
    an_format format = an_exec_input_format(t->session.exec);
    if (!t->group || an_train_config_last(t->config) != AN_LAST_SHORT)
        return AN_OK;
    b->size = (size_t)t->config->crop * (size_t)t->config->crop * (size_t)format.channels * an_dtype_size(format.dtype);
    int rc = an_exec_images_alloc(t->session.exec, &b->pixels, b->size);
    b->draw = AN_IMAGE_DRAW();
    b->images = (an_images){.pixels = b->pixels, .draws = &b->draw};
    return rc;
}

/* What needs a validation set: stopping early, and schedule plateau, whose rate never falls without. */
static int check_validation(an_trainer *t)
{
    char text[256];
    if (an_trainer_can_validate(t))
        return AN_OK;
    if (t->config->stop_after)
        return an_error(AN_EINVAL, "--stop-after %d needs a validation set: name one behind the training set",
                        t->config->stop_after);
    if (t->schedule.kind != AN_SCHEDULE_PLATEAU || t->schedule.drops_max == 0)
        return AN_OK;
    snprintf(text, sizeof(text),
             "schedule plateau divides the rate when validation stops improving, but there is no validation set: the "
             "rate stays at %g; name a set, or give --schedule steps, cosine or constant",
             t->schedule.rate);
    return an_trainer_tell_text(t, AN_EVENT_WARNING, text);
}

/* What the run is, which depends on the checkpoint that it goes on from, and its first weights. */
static int start(an_trainer *t)
{
    an_checkpoint *c = NULL;
    int rc = an_group_rank(t->group) ? AN_OK : an_trainer_open_checkpoint(t, &c);
    if (!rc)
        rc = adopt_last(t, c);
    if (!rc)
        rc = identify(t);
    if (!rc)
        rc = an_train_config_schedule(t->config, &t->session.epochs, t->session.all_steps, &t->schedule);
    if (!rc)
        rc = check_validation(t);
    if (!rc && !an_group_rank(t->group))
        rc = begin(t, c);
    if (!rc)
        rc = an_trainer_share_start(t, c != NULL);
    an_checkpoint_free(c);
    return rc;
}

/* Of a run that began now with the weights of a file. */
static int tell_origin(an_trainer *t)
{
    if (t->saved_any || !t->session.origin.size)
        return AN_OK;
    int rc = an_trainer_tell_text(t, AN_EVENT_NOTE, (const char *)t->session.origin.data);
    return rc ? rc : tell_lines(t, &t->session.doubts);
}

int an_trainer_prepare(an_trainer *t, const char *training, const char *const *validations)
{
    /* Reading data and weights, and measuring kernels, takes long and leaves nothing behind. But a rank that ends by
     * itself looks like one that crashed: ranks end together, after the first step. */
    an_stop_at_once(!t->group);
    int rc = an_session_open(&t->session, t->config, t->group, training, validations);
    if (rc)
        return rc;
    rc = tell_lines(t, &t->session.notes);
    if (rc)
        return rc;
    bool first = an_group_rank(t->group) == 0;
    rc = t->config->run && first ? an_run_open(&t->run, t->config->run) : AN_OK;
    if (rc)
        return rc;
    rc = start(t);
    if (rc)
        return rc;
    rc = make_guard(t);
    if (!rc)
        rc = make_black(t);
    if (rc)
        return rc;
    t->watch = (an_starvation_watch){.period = AN_STARVATION_PERIOD};
    t->summary.first_step = t->profiled_step = t->state.step;
    rc = an_session_loader(&t->session, t->state.step, &t->loader);
    if (rc)
        return rc;
    an_stop_at_once(false);
    rc = open_records(t);
    if (rc)
        return rc;
    rc = an_trainer_tell_start(t);
    if (rc)
        return rc;
    rc = tell_origin(t);
    if (rc)
        return rc;
    rc = an_trainer_saver_make(t);
    if (rc || !t->config->profile || !first)
        return rc;
    return an_profile_open(&t->profile, t->session.exec);
}
