/* A checkpoint's parts, shared by checkpoint.c (opening and metadata), checkpoint_save.c and checkpoint_restore.c. */
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

/* Describe a parameter, its momentum or its average. */
void an_checkpoint_name(an_named_tensor *out, an_parameter_kind kind, const an_parameter *parameter);

#endif
