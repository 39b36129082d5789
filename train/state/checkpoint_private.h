/* A checkpoint's parts, shared by checkpoint.c (opening and metadata), checkpoint_save.c, checkpoint_restore.c and
 * weights.c. */
#ifndef AN_TRAIN_STATE_CHECKPOINT_PRIVATE_H
#define AN_TRAIN_STATE_CHECKPOINT_PRIVATE_H

#include "train/state/checkpoint.h"
#include "train/state/safetensors.h"

#define AN_CHECKPOINT_FORMAT "an-checkpoint"
#define AN_CHECKPOINT_VERSION "1"

struct an_checkpoint {
    char *path;
    an_safetensors *file;
    an_train_state state;
    an_train_identity identity; /* strings: the file's, but for the two below */
    char *recipe, *dataset;     /* unescaped, see text.h */
};

/* A parameter as a tensor of a file; tensor.name points to name. */
typedef struct {
    an_safetensor tensor;
    char name[48];
} an_named_tensor;

/* A file whose tensors become an exec's parameters. */
typedef struct {
    an_safetensors *file;
    const char *path;
    an_exec *exec;
    an_parameter_kind from; /* what becomes its values: the file's values, or their averages */
    bool momentum;          /* set it as well, and the averages if exec keeps them */
    const char *passed;     /* names of layers, with commas between, whose parameters stay as they are; NULL: none */
} an_checkpoint_load;

/* AVERAGE if the file holds averages of the parameters, else VALUE. */
an_parameter_kind an_checkpoint_best_kind(const an_safetensors *file, const an_exec *exec);
/* The tensor that becomes the parameter's values; NULL: there is none. */
const an_safetensor *an_checkpoint_tensor(const an_checkpoint_load *load, const an_parameter *parameter);
int an_checkpoint_load_all(const an_checkpoint_load *load);

/* Whether the parameter belongs to a layer that is passed over. */
bool an_checkpoint_passes(const an_checkpoint_load *load, const an_parameter *parameter);
bool an_checkpoint_same_shape(const an_safetensor *tensor, const an_parameter *parameter);
/* AN_EINVAL: tensor, which is in the file, has not the parameter's shape. remedy ends the message. */
int an_checkpoint_shape_error(const an_checkpoint_load *load, const an_safetensor *tensor,
                              const an_parameter *parameter, const char *remedy);

/* Whether the file says of itself that an-train wrote it. */
bool an_checkpoint_is_ours(const an_safetensors *file);

/* How the file at path has images prepared. AN_END if it holds neither input.mean_image nor input.scale; AN_EINVAL if
 * it holds one alone; AN_ECORRUPT if they are misshapen or of no use. The caller frees out->mean_image. */
int an_checkpoint_read_input(an_safetensors *file, const char *path, an_train_input *out);

/* Describe a parameter, its momentum or its average. */
void an_checkpoint_name(an_named_tensor *out, an_parameter_kind kind, const an_parameter *parameter);

#endif
