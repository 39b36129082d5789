/* A trained network, ready to be used: its weights, its recipe, its classes and how images become its input. Comes from
 * a run's folder, from a file that an-train wrote, or from weights alone: any safetensors file that has the parameters'
 * names and shapes (docs/training.md), with a recipe. What is taken from elsewhere because such a file lacks it, and
 * values that are converted, are told as log lines. One thread uses it. */
#ifndef AN_TRAIN_TRAINED_TRAINED_H
#define AN_TRAIN_TRAINED_TRAINED_H

#include "train/setup/config.h"
#include "train/state/checkpoint.h"
#include "train/state/weights.h"

typedef struct {
    an_checkpoint *checkpoint; /* NULL: weights alone */
    an_weights *alone;         /* NULL: a checkpoint */
    const char *path;          /* of the file */
    const char *class_ids;     /* JSON array in the order of labels, escaped as state/text.h says */
    uint64_t step;             /* 0: weights alone, where it is not known */
    an_train_config config;    /* the recipe it was made with */
    an_train_input input;      /* mean_image is NULL if it is not known: it can then be looked at, but not run */
    int classes;
    char *own_class_ids; /* of weights alone */
} an_trained;

/* Where it comes from. */
typedef struct {
    const char *run, *weights; /* exactly one of the two: else AN_EINVAL */
    const char *recipe;        /* a recipe file, which makes weights be weights alone; or NULL */
    /* For weights alone, or NULL. Its classes are the network's: AN_EINVAL if they are not as many. Without it they are
     * called 0, 1, 2 ... If the file lacks input.mean_image and input.scale, its statistics take their place. */
    const an_dataset *dataset;
} an_trained_source;

int an_trained_open_source(an_trained *out, const an_trained_source *source);

/* From a run's best checkpoint (else the newest), or from a file that an-train wrote. */
int an_trained_open(an_trained *out, const char *run, const char *weights);
void an_trained_close(an_trained *trained); /* zeroed is fine */

/* The layers of the network that the recipe describes. The message of a failure names the file. */
int an_trained_graph(const an_trained *trained, an_graph *out);

/* A network with these weights, for evaluation of batch images at a time. threads: on all devices together. decoder:
 * for batches that arrive encoded, or NULL. The caller frees it. */
int an_trained_exec(an_trained *trained, const char *devices, int batch, int threads, const an_image_decoder *decoder,
                    an_exec **out);

#endif
