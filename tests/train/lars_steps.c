/* Trains on random images by a recipe and tells what update did, for lars.py to compute again.
 *
 * lars_steps RECIPE DEVICES STEPS FOLDER writes into FOLDER
 *   parameters   a line "name count" for each parameter
 *   rates        a line with the schedule's rate for each step
 *   start        all values before the first step, one parameter behind the other, as floats in canonical order
 *   gradients    all gradients of each step
 *   values, momenta, and with --ema averages, after the last step */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"
#include "base/rng.h"
#include "model/init.h"
#include "train/setup/layer_rates.h"
#include "train/setup/network.h"

enum { CLASSES = 5, EPOCH_STEPS = 6 };

typedef struct {
    an_train_config config;
    an_schedule schedule;
    an_graph graph;
    an_exec *exec;
    const char *folder;
    float *images;
    uint32_t *labels;
} work;

static int out_of_memory(void)
{
    return an_error(AN_ENOMEM, "out of memory");
}

static int file_open(const work *w, const char *name, FILE **out)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", w->folder, name);
    *out = fopen(path, "wb");
    return *out ? AN_OK : an_error(AN_EIO, "cannot write '%s'", path);
}

static int file_close(FILE *file, int rc)
{
    bool bad = ferror(file) != 0;
    if (fclose(file) || bad)
        return rc ? rc : an_error(AN_EIO, "cannot write a file");
    return rc;
}

static int values_write(const work *w, FILE *file, an_parameter_kind kind)
{
    int rc = AN_OK;
    for (int i = 0; i < an_exec_parameter_count(w->exec) && !rc; i++) {
        uint64_t size = an_exec_parameter(w->exec, i)->size;
        float *values = malloc(size * sizeof *values);
        if (!values)
            return out_of_memory();
        rc = an_exec_parameter_get(w->exec, i, kind, values);
        if (!rc && fwrite(values, sizeof *values, size, file) != size)
            rc = an_error(AN_EIO, "cannot write parameters");
        free(values);
    }
    return rc;
}

static int all_write(const work *w, const char *name, an_parameter_kind kind)
{
    FILE *file;
    int rc = file_open(w, name, &file);
    if (rc)
        return rc;
    return file_close(file, values_write(w, file, kind));
}

static int parameters_write(const work *w)
{
    FILE *file;
    int rc = file_open(w, "parameters", &file);
    if (rc)
        return rc;
    for (int i = 0; i < an_exec_parameter_count(w->exec); i++) {
        const an_parameter *p = an_exec_parameter(w->exec, i);
        fprintf(file, "%s %llu\n", p->name, (unsigned long long)p->size);
    }
    return file_close(file, AN_OK);
}

static int exec_make(work *w, const char *devices)
{
    an_layer_rates rates;
    int rc = an_network_build(&w->config, CLASSES, &w->graph);
    if (!rc)
        rc = an_layer_rates_make(&rates, &w->config, &w->graph);
    if (rc)
        return rc;
    an_exec_options options = an_network_exec_options(&w->config, devices, 2, w->config.batch, true);
    options.rate_scales = rates.scales;
    options.averages = w->config.ema > 0;
    rc = an_exec_create(&w->exec, &w->graph, &options);
    if (rc)
        return rc;
    return an_init_parameters(w->exec, (an_init_kind)w->config.init, w->config.seed);
}

/* Other images in each step. */
static void batch_make(work *w, uint64_t step)
{
    size_t side = (size_t)w->config.crop, count = (size_t)w->config.batch * side * side * 3;
    for (size_t i = 0; i < count; i++) {
        uint32_t words[4];
        an_rng_philox((uint32_t[4]){(uint32_t)i, (uint32_t)step, 7, 0}, (uint32_t[2]){1, 2}, words);
        w->images[i] = (float)words[0] / 2147483648.0F - 1;
    }
    for (int i = 0; i < w->config.batch; i++)
        w->labels[i] = (uint32_t)i % CLASSES;
}

static int step_run(work *w, uint64_t step, FILE *gradients, FILE *rates)
{
    an_exec_result result;
    an_schedule_state state = {0};
    double rate = an_schedule_rate(&w->schedule, &state, step);
    an_sgd sgd = an_network_sgd(&w->config, rate);
    batch_make(w, step);
    int rc =
        an_exec_step(w->exec, &(an_images){.pixels = w->images}, w->labels, (uint32_t)w->config.batch, step, &result);
    if (rc)
        return rc;
    rc = values_write(w, gradients, AN_PARAMETER_GRADIENT);
    if (rc)
        return rc;
    fprintf(rates, "%.17g\n", rate);
    return an_exec_update(w->exec, &sgd);
}

static int steps_run(work *w, uint64_t steps)
{
    FILE *gradients = NULL, *rates = NULL;
    int rc = file_open(w, "gradients", &gradients);
    if (rc)
        return rc;
    rc = file_open(w, "rates", &rates);
    for (uint64_t i = 0; i < steps && !rc; i++)
        rc = step_run(w, i, gradients, rates);
    if (rates)
        rc = file_close(rates, rc);
    return file_close(gradients, rc);
}

static int train(work *w, const char *devices, uint64_t steps)
{
    int rc = exec_make(w, devices);
    if (!rc)
        rc = parameters_write(w);
    if (!rc)
        rc = all_write(w, "start", AN_PARAMETER_VALUE);
    if (!rc)
        rc = steps_run(w, steps);
    if (!rc)
        rc = all_write(w, "values", AN_PARAMETER_VALUE);
    if (!rc)
        rc = all_write(w, "momenta", AN_PARAMETER_MOMENTUM);
    if (!rc && w->config.ema > 0)
        rc = all_write(w, "averages", AN_PARAMETER_AVERAGE);
    return rc;
}

/* An epoch has EPOCH_STEPS steps. */
static int recipe_read(work *w, const char *path)
{
    static const an_options whole = {.program = "an-train", .options = an_train_options};
    int rc = an_options_init(&whole, &w->config);
    if (!rc)
        rc = an_options_read_file(&whole, path, &w->config);
    if (!rc)
        rc = an_train_config_check(&w->config);
    if (rc)
        return rc;
    uint64_t batch = (uint64_t)w->config.batch;
    an_epochs epochs = {.images = EPOCH_STEPS * batch, .batch = batch, .last = AN_LAST_CARRY};
    return an_train_config_schedule(&w->config, &epochs, an_epochs_steps(&epochs, (uint64_t)w->config.epochs),
                                    &w->schedule);
}

int main(int argc, char **argv)
{
    work w = {.folder = argc == 5 ? argv[4] : NULL};
    if (!w.folder) {
        fprintf(stderr, "usage: lars_steps RECIPE DEVICES STEPS FOLDER\n");
        return 2;
    }
    int rc = recipe_read(&w, argv[1]);
    if (!rc) {
        size_t side = (size_t)w.config.crop, batch = (size_t)w.config.batch;
        w.images = malloc(batch * side * side * 3 * sizeof *w.images);
        w.labels = malloc(batch * sizeof *w.labels);
        rc = w.images && w.labels ? train(&w, argv[2], strtoull(argv[3], NULL, 10)) : out_of_memory();
    }
    if (rc)
        fprintf(stderr, "lars_steps: %s\n", an_error_message());
    an_exec_free(w.exec);
    free(w.images);
    free(w.labels);
    return rc ? 1 : 0;
}
