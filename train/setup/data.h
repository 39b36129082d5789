/* The datasets of a run, the loaders that read them, and how an image becomes the network's input.
 *
 * A network gets an image as (pixels - mean) * scale. Where it takes floats, the loader computes that; where it takes
 * bytes (GPUs), the loader hands over the pixels and the device computes it: an_train_conversion and
 * an_train_sample_format are the two halves of that. Where the device decodes as well (train/setup/decoding.h), the
 * loader hands over undecoded records. Everything here is used by one thread. */
#ifndef AN_TRAIN_SETUP_DATA_H
#define AN_TRAIN_SETUP_DATA_H

#include <stdint.h>

#include "augment/loader.h"
#include "model/exec.h"
#include "train/setup/config.h"
#include "train/state/checkpoint.h"

/* A set to validate on. */
typedef struct {
    an_dataset *dataset;
    char *name; /* of its folder, with as much of its path as tells it from the other sets */
} an_train_set;

#define AN_TRAIN_SETS_MAX 16

typedef struct {
    an_dataset *training;
    an_dataset *validation; /* the first of the sets, which decides schedule and best checkpoint; NULL: none */
    an_train_set sets[AN_TRAIN_SETS_MAX];
    int set_count;
    uint64_t *subset; /* --overfit: the records used; else NULL */
    uint64_t subset_count;
    int classes;
    char *class_ids;          /* JSON array, in order of label */
    an_train_input input;     /* derived from the training set's statistics */
    double *class_weights;    /* classes; NULL: all 1 */
    char *class_weights_name; /* as a recipe names them */
} an_train_data;

/* Open the datasets and check that they have the same classes, that none is empty, and that crop and batch fit.
 * validations: NULL-terminated; NULL: none. */
int an_train_data_open(an_train_data *out, const an_train_config *config, const char *training,
                       const char *const *validations);
void an_train_data_close(an_train_data *data); /* zeroed is fine */

/* How images of a training set with these statistics become inputs, as config says. The caller frees out->mean_image.
 */
int an_train_input_derive(const an_statistics *statistics, const an_train_config *config, an_train_input *out);

/* The factor of that kind, which is not AUTO, for a training set with these statistics. */
double an_train_input_scale(const an_statistics *statistics, an_scale_kind kind);

/* The weights of the training set's classes in the loss that --class-weights asks for; the caller frees them. none:
 * NULL. balanced: images / (classes * images of the class), 0 for a class without images. Otherwise a file of lines
 * "class-id weight": empty lines and those that begin with # are skipped, classes that are not named weigh 1. Errors
 * name the file and the line. data: opened but for its weights. *name, which the caller frees, is what a recipe calls
 * them: the option, and behind a file " @ " and the hash of its weights. Given such a name, the file must still give
 * these weights: else AN_EINVAL. */
int an_train_class_weights(const an_train_data *data, const char *option, double **out, char **name);

/* JSON array of a dataset's class ids, escaped as state/text.h says; the caller frees it. */
int an_train_class_ids(const an_dataset *dataset, char **out);

/* AN_EINVAL unless --top tells more than that every image is right. The default is taken with any number of classes. */
int an_train_top_check(int top, uint32_t classes);

/* AN_EINVAL unless the dataset has exactly the classes of ids, in this order: the message names the first difference.
 * origin says in messages where ids come from. */
int an_train_class_check(const an_dataset *dataset, const char *ids, const char *origin);

/* Which images of each batch belong to this process: one of `world` ranks, of which each takes so many in turn. */
typedef struct {
    int rank, world;
    int batch; /* images of a rank; those of all ranks are config's batch */
} an_train_share;

/* Images of a step of so many images in all that belong to a rank: none, if it is a short one. */
int an_train_share_of(const an_train_share *share, uint64_t images);

/* How the training set is loaded. */
typedef struct {
    an_train_share share;
    int threads;
    an_decode_place decode; /* AN_DECODE_DEVICE: exec has a decoder for blocks of an_train_data_block bytes */
    uint64_t epoch, step;   /* the first, within its epoch */
} an_train_load;

/* A loader of shuffled and augmented batches without end, from a step of an epoch on, in the format that exec wants and
 * in memory that exec allocates: exec must outlive it. */
int an_train_data_loader(const an_train_data *data, const an_train_config *config, an_exec *exec,
                         const an_train_load *load, an_loader **out);

/* Bytes of a batch of undecoded records at most, of training and validation. */
int an_train_data_block(const an_train_data *data, const an_train_config *config, const an_train_share *share,
                        size_t *out);

/* A loader's batch in the form that an exec takes. */
an_images an_train_images(const an_batch *batch);

/* For a step or an evaluation of the batch that has failed with rc: if a record was damaged (an_exec_damaged), puts its
 * name before the message, as the loader does where it decodes. Returns rc. */
int an_train_name_damaged(const an_exec *exec, const an_dataset *dataset, const an_batch *batch, int rc);

/* What a device that takes bytes computes itself. Borrows input's mean image. */
an_conversion an_train_conversion(const an_train_input *input);

/* Let a sampler write in format: if that is bytes, the sampler subtracts and scales nothing, because the device does.
 */
void an_train_sample_format(an_sample_options *sample, an_format format);

/* How a trained network sees square images of side pixels: options for a sampler that cuts out crop x crop, writes
 * format and subtracts the mean as training did. Every program that shows images to a trained network takes them from
 * here. statistics borrows input's mean image. AN_EINVAL if the images are smaller than the crop, or if a mean image
 * that is not one colour belongs to another side; the caller prefixes the name of what holds the images. */
int an_train_input_sample(const an_train_input *input, int crop, uint32_t side, an_format format,
                          an_sample_options *sample, an_statistics *statistics);

/* A dataset to be looked at without augmentation, for evaluation. */
typedef struct {
    const an_dataset *dataset;
    const an_train_input *input;
    const uint64_t *subset; /* records to look at, or NULL */
    uint64_t subset_count;
    int crop, batch, threads, engine;
    int rank, world;        /* only every world-th batch, beginning with this one; world 0: all */
    uint32_t top;           /* k of an evaluation that looks at predictions: train/loop/evaluate.h; 0: AN_EXEC_TOP */
    an_decode_place decode; /* AN_DECODE_DEVICE: exec has a decoder for blocks of an_train_view_block bytes */
    bool repeat;            /* after the last image begin again, without end; every pass is the same */
} an_train_view_options;

/* A loader of the centre of each image, once and in stored order. The last batch of a pass may be short. AN_EINVAL for
 * a rank that has no part in a pass at all. */
int an_train_view_loader(const an_train_view_options *options, an_exec *exec, an_loader **out);

/* k, or the number that 0 stands for. */
uint32_t an_train_view_top(const an_train_view_options *options);

/* Bytes of a batch of undecoded records at most. */
int an_train_view_block(const an_train_view_options *options, size_t *out);

/* an_train_input_sample for the dataset's images. statistics borrows options->input's mean image. */
int an_train_view_sample(const an_train_view_options *options, an_format format, an_sample_options *sample,
                         an_statistics *statistics);

/* The number of threads to use: wanted, or what --threads 0 and --compute-threads 0 stand for. The rule for loader
 * threads, with its reasons in docs/training.md: on the host's processors the network needs nearly all of them, and a
 * quarter as many loader threads are plenty; GPUs leave the processors to the loader. */
int an_train_loader_threads(const an_exec *exec, int wanted);
int an_train_compute_threads(int wanted);

/* The same as a function of what it depends on; and the most loader threads that there are processors for. */
int an_train_loader_threads_rule(int processors, bool network_on_processors, int wanted);
int an_train_loader_threads_most(int processors, bool network_on_processors);

#endif
