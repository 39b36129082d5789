#include "train/config.h"

static const char *const engines[] = {"auto", "uring", "uring-direct", "pread", "mmap", NULL};       /* an_reader_engine */
static const char *const schedules[] = {"constant", "steps", "plateau", "cosine", NULL};       /* an_schedule_kind */
static const char *const inits[] = {"paper", "he", NULL};                                      /* an_init_kind */
static const char *const activations[] = {"none", "relu", "tanh", "sigmoid", NULL};            /* an_activation */
static const char *const means[] = {"none", "channel", "pixel", NULL};                         /* an_mean_kind */
static const char *const scales[] = {"auto", "paper", "unit", NULL};                           /* an_scale_kind */
static const char *const orders[] = {"global", "block", "sequential", NULL};                   /* an_order_kind */

static const char *const networks[] = {"alexnet", "cifar", NULL};                              /* an_network_kind */
static const char *const pools[] = {"2", "3", NULL};                                           /* network.c */
static const char *const paddings[] = {"overhang", "pad2", NULL};                              /* an_alexnet_padding */

#define FIELD(name) offsetof(an_train_config, name)

const an_option an_train_options[] = {
    {.heading = "Run:"},
    {.name = "run", .key = 'r', .type = AN_OPTION_STRING, .metavar = "FOLDER", .offset = FIELD(run),
     .help = "keep checkpoints, metrics.jsonl and recipe.txt here; without it nothing is kept"},
    {.name = "recipe", .type = AN_OPTION_STRING, .metavar = "FILE", .offset = FIELD(recipe),
     .help = "read options from FILE (name = value lines) before those given here"},
    {.name = "resume", .type = AN_OPTION_STRING, .metavar = "auto|FILE", .offset = FIELD(resume),
     .help = "go on from the run's newest sound checkpoint, or start if there is none (auto), or from FILE"},
    {.name = "weights", .type = AN_OPTION_STRING, .metavar = "FILE", .offset = FIELD(weights),
     .help = "start from the weights of a safetensors file instead of random ones"},
    {.name = "epochs", .key = 'e', .type = AN_OPTION_INT, .metavar = "N", .initial = "90", .min = 1, .max = 1000000,
     .offset = FIELD(epochs), .help = "times that every training image is seen"},
    {.name = "steps", .type = AN_OPTION_UINT64, .metavar = "N", .initial = "0", .offset = FIELD(steps),
     .help = "stop after N steps in all, if that comes first (0: no such limit)"},
    {.name = "save-every", .type = AN_OPTION_INT, .metavar = "STEPS", .initial = "500", .min = 0, .max = 1000000000,
     .offset = FIELD(save_every), .help = "checkpoint also every N steps, not only after validations (0: only then)"},
    {.name = "keep", .type = AN_OPTION_INT, .metavar = "N", .initial = "2", .min = 1, .max = 1000000,
     .offset = FIELD(keep), .help = "newest checkpoints kept, besides the best"},
    {.name = "log-every", .type = AN_OPTION_INT, .metavar = "STEPS", .initial = "50", .min = 1, .max = 1000000000,
     .offset = FIELD(log_every), .help = "steps between lines"},
    {.name = "quiet", .key = 'q', .type = AN_OPTION_FLAG, .offset = FIELD(quiet), .help = "print only warnings and errors"},
    {.name = "json", .type = AN_OPTION_FLAG, .offset = FIELD(json), .help = "print the lines of metrics.jsonl instead of text"},
    {.name = "tensorboard", .type = AN_OPTION_FLAG, .offset = FIELD(tensorboard),
     .help = "write TensorBoard events into the run's folder tensorboard: curves, weights, first-layer filters"},
    {.name = "dry-run", .type = AN_OPTION_FLAG, .offset = FIELD(dry_run),
     .help = "train nothing: print the layers with their parameters and FLOP, memory, and the speed to expect"},
    {.name = "find-rate", .type = AN_OPTION_INT, .metavar = "STEPS", .initial = "0", .min = 0, .max = 100000,
     .offset = FIELD(find_rate), .help = "train STEPS steps (200 is plenty) at a rising rate, keep nothing, and name a rate to use"},
    {.heading = "Machine:"},
    {.name = "devices", .type = AN_OPTION_STRING, .metavar = "LIST", .initial = "cpu", .offset = FIELD(devices),
     .help = "where the network's two logical devices run"},
    {.name = "threads", .key = 'j', .type = AN_OPTION_INT, .metavar = "N", .initial = "0", .min = 0, .max = 1024,
     .offset = FIELD(loader_threads), .help = "loader threads (0: chosen from the number of processors)"},
    {.name = "compute-threads", .type = AN_OPTION_INT, .metavar = "N", .initial = "0", .min = 0, .max = 1024,
     .offset = FIELD(compute_threads), .help = "compute threads (0: all processors); the same number gives the same bits"},
    {.name = "reader", .type = AN_OPTION_CHOICE, .initial = "auto", .choices = engines, .offset = FIELD(engine),
     .help = "how records are read"},

    {.heading = "Recipe (also the names in recipe files; defaults are the paper's):"},
    {.name = "batch", .key = 'b', .type = AN_OPTION_INT, .metavar = "N", .initial = "128", .min = 1, .max = 65536,
     .offset = FIELD(batch), .help = "images in a step"},
    {.name = "crop", .key = 'c', .type = AN_OPTION_INT, .metavar = "PIXELS", .initial = "224", .min = 1, .max = 4096,
     .offset = FIELD(crop), .help = "side of the network's input, cut out of the stored image"},
    {.name = "seed", .type = AN_OPTION_UINT64, .metavar = "N", .initial = "1", .offset = FIELD(seed),
     .help = "of order, crops, flips, colours, initial weights and dropout"},
    {.name = "rate", .type = AN_OPTION_DOUBLE, .metavar = "X", .initial = "0.01", .min = 0, .max = 1000,
     .offset = FIELD(rate), .help = "learning rate at the start"},
    {.name = "momentum", .type = AN_OPTION_DOUBLE, .metavar = "X", .initial = "0.9", .min = 0, .max = 1,
     .offset = FIELD(momentum), .help = "share of the last update that is kept"},
    {.name = "decay", .type = AN_OPTION_DOUBLE, .metavar = "X", .initial = "0.0005", .min = 0, .max = 1,
     .offset = FIELD(decay), .help = "weight decay"},
    {.name = "bias-rate", .type = AN_OPTION_DOUBLE, .metavar = "FACTOR", .initial = "1", .min = 0, .max = 1000,
     .offset = FIELD(bias_rate), .help = "biases learn at FACTOR times the rate (the original program: 2)"},
    {.name = "bias-decay", .type = AN_OPTION_DOUBLE, .metavar = "X", .initial = "0.0005", .min = 0, .max = 1,
     .offset = FIELD(bias_decay), .help = "decay of biases (the original program: 0)"},
    {.name = "schedule", .type = AN_OPTION_CHOICE, .initial = "plateau", .choices = schedules, .offset = FIELD(schedule),
     .help = "how the rate falls: never, at --rate-epochs, when validation stops improving, or as a half cosine"},
    {.name = "rate-epochs", .type = AN_OPTION_STRING, .metavar = "N,N...", .initial = "30,60,80",
     .offset = FIELD(rate_epochs), .help = "schedule steps: epochs after which the rate is divided"},
    {.name = "rate-divisor", .type = AN_OPTION_DOUBLE, .metavar = "X", .initial = "10", .min = 1, .max = 1000000,
     .offset = FIELD(rate_divisor), .help = "schedules steps and plateau: what the rate is divided by"},
    {.name = "patience", .type = AN_OPTION_INT, .metavar = "EPOCHS", .initial = "3", .min = 1, .max = 1000000,
     .offset = FIELD(patience), .help = "schedule plateau: validations without improvement before the rate is divided"},
    {.name = "rate-drops", .type = AN_OPTION_INT, .metavar = "N", .initial = "3", .min = 0, .max = 100,
     .offset = FIELD(rate_drops), .help = "schedule plateau: divisions at most"},
    {.name = "validate-every", .type = AN_OPTION_INT, .metavar = "EPOCHS", .initial = "1", .min = 1, .max = 1000000,
     .offset = FIELD(validate_every), .help = "epochs between validations, each with a checkpoint after it"},
    {.name = "init", .type = AN_OPTION_CHOICE, .initial = "paper", .choices = inits, .offset = FIELD(init),
     .help = "initial weights: N(0, 0.01) and biases of 0 and 1, or He's N(0, sqrt(2 / inputs))"},
    {.name = "network", .type = AN_OPTION_CHOICE, .initial = "alexnet", .choices = networks, .offset = FIELD(network),
     .help = "AlexNet, or the small four-layer network of the paper's Figure 1 (crop 32)"},
    {.name = "activation", .type = AN_OPTION_CHOICE, .initial = "relu", .choices = activations, .offset = FIELD(activation),
     .help = "nonlinearity of every hidden layer"},
    {.name = "dropout", .type = AN_OPTION_DOUBLE, .metavar = "P", .initial = "0.5", .min = 0, .max = 0.99,
     .offset = FIELD(dropout), .help = "probability that a unit is dropped"},
    {.name = "dropout-layers", .type = AN_OPTION_STRING, .metavar = "LAYERS", .initial = "fc6,fc7",
     .offset = FIELD(dropout_layers), .help = "where units are dropped: fc6, fc7, or none"},
    {.name = "lrn", .type = AN_OPTION_STRING, .metavar = "LAYERS", .initial = "conv1,conv2", .offset = FIELD(lrn),
     .help = "where responses are normalised: conv1, conv2, conv5, or none"},
    {.name = "lrn-alpha", .type = AN_OPTION_DOUBLE, .metavar = "X", .initial = "0.0001", .min = 0, .max = 1000,
     .offset = FIELD(lrn_alpha),
     .help = "response normalisation; the sum is divided by its 5 terms as in the original program, so the paper's formula "
             "taken literally is 0.0005"},
    {.name = "one-column", .type = AN_OPTION_FLAG, .offset = FIELD(one_column),
     .help = "a single device's network, without the paper's split into halves"},
    {.name = "no-communication", .type = AN_OPTION_FLAG, .offset = FIELD(no_communication),
     .help = "conv3, fc6 and fc7 see only their own half, as the other layers do"},
    {.name = "pool", .type = AN_OPTION_CHOICE, .initial = "3", .choices = pools, .offset = FIELD(pool),
     .help = "window of max pooling, always 2 apart: 3 overlaps"},
    {.name = "padding", .type = AN_OPTION_CHOICE, .initial = "overhang", .choices = paddings, .offset = FIELD(padding),
     .help = "how conv1 meets a crop that its windows do not fit: they overhang right and bottom as in the original program "
             "(a crop of 227 fits), or 2 zeros all around as in torchvision"},
    {.name = "no-flip", .type = AN_OPTION_FLAG, .offset = FIELD(no_flip), .help = "never mirror training images"},
    {.name = "no-random-crop", .type = AN_OPTION_FLAG, .offset = FIELD(no_random_crop),
     .help = "train on the centre of each image"},
    {.name = "jitter", .type = AN_OPTION_DOUBLE, .metavar = "X", .initial = "0.1", .min = 0, .max = 10,
     .offset = FIELD(jitter), .help = "deviation of the PCA colour jitter (0: none)"},
    {.name = "mean", .type = AN_OPTION_CHOICE, .initial = "pixel", .choices = means, .offset = FIELD(mean),
     .help = "what is subtracted: nothing, a colour, or the mean image"},
    {.name = "input-scale", .type = AN_OPTION_CHOICE, .initial = "auto", .choices = scales, .offset = FIELD(scale),
     .help = "0..255 as in the paper, divided by the training set's deviation (unit), or unit with --init he only (auto)"},
    {.name = "order", .type = AN_OPTION_CHOICE, .initial = "global", .choices = orders, .offset = FIELD(order),
     .help = "order of an epoch: a permutation of everything, of blocks, or as stored"},
    {.name = "order-block", .type = AN_OPTION_INT, .metavar = "RECORDS", .initial = "1024", .min = 1, .max = 1000000000,
     .offset = FIELD(order_block), .help = "order block: records in a block"},
    {.name = "overfit", .type = AN_OPTION_INT, .metavar = "N", .initial = "0", .min = 0, .max = 1000000000,
     .offset = FIELD(overfit), .help = "train and validate on N images of the training set only: a network that works learns them all"},
    {0}};

enum { RECIPE_FIRST = 20 }; /* the heading above --batch; an_train_config_check's test holds it in place */

const an_options an_train_recipe_spec = {.program = "an-train", .options = an_train_options + RECIPE_FIRST};
