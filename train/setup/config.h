/* Everything a user can choose for a training run. One table of options drives the command line, recipe files and help.
 * Its second half is the recipe: the options that decide the resulting weights, which a resumed run must not change. */
#ifndef AN_TRAIN_SETUP_CONFIG_H
#define AN_TRAIN_SETUP_CONFIG_H

#include <stdbool.h>
#include <stdint.h>

#include "augment/loader.h"
#include "base/buffer.h"
#include "base/program/options.h"
#include "model/init.h"
#include "train/state/schedule.h"

/* --decode auto: decode_choice.h has the rule. */
enum { AN_TRAIN_DECODE_AUTO = AN_DECODE_DEVICE + 1 };

typedef enum { AN_SCALE_AUTO, AN_SCALE_PAPER, AN_SCALE_UNIT } an_scale_kind;

typedef struct {
    /* May differ each time a run is continued. */
    const char *run, *recipe, *resume, *weights;
    int save_every, keep, log_every;
    bool quiet, json, tensorboard, dry_run, profile;
    int find_rate;
    int loader_threads, compute_threads, engine;
    int decode; /* an_decode_place, or AN_TRAIN_DECODE_AUTO */
    const char *devices;
    int epochs;
    uint64_t steps;

    /* The recipe. */
    int batch, crop;
    uint64_t seed;
    double rate, momentum, decay, bias_rate, bias_decay;
    int schedule;
    const char *rate_epochs;
    double rate_divisor;
    int patience, rate_drops, validate_every;
    int init;
    int network, activation, pool, padding, precision, kernels;
    double dropout, lrn_alpha;
    const char *dropout_layers, *lrn;
    bool one_column, no_communication;
    bool no_flip, no_random_crop;
    double jitter;
    bool jitter_scaled;
    uint64_t jitter_epochs;
    double mixup, cutmix;
    double label_smoothing;
    const char *class_weights;
    int mean, scale, order;
    int order_block;
    int overfit;
} an_train_config;

extern const char *const an_train_decode_names[]; /* of an_decode_place */

/* The whole table; and the part of it that is the recipe, which fills the same struct. */
extern const an_option an_train_options[];
const an_options *an_train_recipe_spec(void);

/* Check what concerns several options at once. AN_EINVAL names the option and the remedy. */
int an_train_config_check(const an_train_config *config);

/* The recipe as "name = value" lines. */
int an_train_config_recipe(const an_train_config *config, an_buffer *out);

/* Set the recipe part of config from such lines. Messages call their origin where. */
int an_train_config_parse(an_train_config *config, const char *lines, const char *where);

/* Append the same recipe with every option that this program has: those that lines lack, because an older program wrote
 * them, get their initial values. */
int an_train_recipe_complete(const char *lines, const char *where, an_buffer *out);

/* Compare two recipes. AN_OK if they are equal. Else AN_END, and a line "name: old -> new" is appended for each
 * difference. */
int an_train_recipe_compare(const char *before, const char *now, an_buffer *difference);

an_scale_kind an_train_config_scale(const an_train_config *config); /* what AUTO stands for is resolved */
int an_train_config_schedule(const an_train_config *config, uint64_t steps_per_epoch, uint64_t total_steps,
                             an_schedule *out);

#endif
