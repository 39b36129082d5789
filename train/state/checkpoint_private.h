/* Shared by checkpoint_save.c, checkpoint.c (reading) and checkpoint_restore.c. */
#ifndef AN_TRAIN_STATE_CHECKPOINT_PRIVATE_H
#define AN_TRAIN_STATE_CHECKPOINT_PRIVATE_H

#include "train/state/checkpoint.h"
#include "train/state/safetensors.h"

#define AN_CHECKPOINT_FORMAT "an-checkpoint"
#define AN_CHECKPOINT_VERSION "1"
#define AN_CHECKPOINT_MOMENTUM "momentum."

struct an_checkpoint {
    char *path;
    an_safetensors *file;
    an_train_state state;
    an_train_identity identity;
};

/* A parameter as a tensor of a file. */
typedef struct {
    an_safetensor tensor;
    char name[48];
} an_named_tensor;

void an_checkpoint_name(an_named_tensor *out, const char *prefix, const an_parameter *parameter);

#endif
