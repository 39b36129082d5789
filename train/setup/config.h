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

/* --last auto: as the run that is resumed was begun; else carry. The kinds of the loader behind carry are not offered
 * here, so its number may stand for one of them there. */
enum { AN_TRAIN_LAST_AUTO = AN_LAST_CARRY + 1 };

/* How gradients travel between replicas. */
enum { AN_TRANSPORT_F32, AN_TRANSPORT_BF16 };

typedef enum { AN_OPTIMIZER_SGD, AN_OPTIMIZER_LARS } an_optimizer_kind;
typedef enum { AN_SCALE_AUTO, AN_SCALE_PAPER, AN_SCALE_UNIT } an_scale_kind;

typedef struct {
    /* May differ each time a run is continued. */
    const char *run, *recipe, *resume, *weights, *fresh;
    int save_every, keep, log_every;
    int top;
    bool quiet, json, tensorboard, dry_run, profile;
    int find_rate;
    int loader_threads, compute_threads, engine;
    int decode; /* an_decode_place, or AN_TRAIN_DECODE_AUTO */
    const char *devices;
    int bucket;         /* MB */
    bool deterministic; /* an_group_reduce_options */
    int epochs, stop_after;
    uint64_t steps;

    /* The recipe. */
    int batch, accumulate, crop;
    int last; /* an_last_kind up to AN_LAST_CARRY, or AN_TRAIN_LAST_AUTO */
    uint64_t seed;
    int optimizer; /* an_optimizer_kind */
    double rate, momentum, decay, bias_rate, bias_decay, trust, clip, ema;
    bool nesterov;
    const char *freeze, *layer_rates; /* layer_rates.h */
    int schedule;
    const char *rate_epochs;
    double rate_divisor, power, warmup_epochs;
    int patience, rate_drops, validate_every;
    int init;
    int network, activation, pool, padding, precision, kernels;
    int transport; /* AN_TRANSPORT_F32, or AN_TRANSPORT_BF16 */
    int columns;
    double dropout, lrn_alpha, lrn_k, init_bias;
    const char *dropout_layers, *lrn, *lrn_before_activation, *lrn_after_pool, *without, *init_deviations;
    bool no_communication;
    bool no_flip, no_random_crop;
    double resized;
    double jitter;
    bool jitter_scaled;
    uint64_t jitter_epochs;
    double mixup, cutmix;
    double label_smoothing;
    const char *class_weights;
    int mean, scale, order;
    int order_block;
    int overfit;

    struct {
        an_option_origin batch, epochs, save_every, schedule, validate_every, overfit;
    } origins;
} an_train_config;

extern const char *const an_train_decode_names[]; /* of an_decode_place */

/* The whole table; and the part of it that is the recipe, which fills the same struct. */
extern const an_option an_train_options[];
const an_options *an_train_recipe_spec(void);

/* Set what --overfit implies: options that were not given where it was given, that is, on the command line, or in the
 * recipe if it stands there. */
void an_train_config_imply(an_train_config *config);

/* Check what concerns several options at once. AN_EINVAL names the option and the remedy. */
int an_train_config_check(const an_train_config *config);
/* The same for a training of so many ranks, among which the batch is divided. */
int an_train_config_check_ranks(const an_train_config *config, int world);

/* The recipe as "name = value" lines. --last auto is written as what it stands for. */
int an_train_config_recipe(const an_train_config *config, an_buffer *out);

/* Set the recipe part of config from such lines. Messages call their origin where. */
int an_train_config_parse(an_train_config *config, const char *lines, const char *where);

/* Set the recipe part of config from the lines of a whole recipe. Options that they lack, because an older program
 * wrote them, get what that program did: their initial values, or an_option.before. */
int an_train_recipe_parse(an_train_config *config, const char *lines, const char *where);

/* Append the same recipe with every option that this program has. */
int an_train_recipe_complete(const char *lines, const char *where, an_buffer *out);

/* Compare two recipes. AN_OK if they are equal. Else AN_END, and a line "name: old -> new" is appended for each
 * difference. */
int an_train_recipe_compare(const char *before, const char *now, an_buffer *difference);

an_scale_kind an_train_config_scale(const an_train_config *config); /* what AUTO stands for is resolved */
an_last_kind an_train_config_last(const an_train_config *config);   /* the same, for a run that begins */
/* total_steps: of all epochs. */
int an_train_config_schedule(const an_train_config *config, const an_epochs *epochs, uint64_t total_steps,
                             an_schedule *out);

#endif
