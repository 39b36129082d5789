/* An open safetensors file, shared by safetensors_read.c (the file) and safetensors_header.c (what its header says). */
#ifndef AN_TRAIN_STATE_SAFETENSORS_PRIVATE_H
#define AN_TRAIN_STATE_SAFETENSORS_PRIVATE_H

#include <jansson.h>

#include "train/state/safetensors.h"

struct an_safetensors {
    char *path;
    int fd;
    uint64_t data_offset, data_size;
    char *text; /* the header as it stands in the file, for the checksum */
    size_t text_size;
    json_t *header;
    an_safetensor *tensors;
    size_t count;
};

/* Read and check the header of file->fd. What was allocated meanwhile is file's, also after a failure. */
int an_safetensors_header(an_safetensors *file);

/* AN_ECORRUPT with a message that names the file and, unless it is NULL, the tensor. */
int an_safetensors_damaged(const an_safetensors *file, const char *tensor, const char *what);

#endif
