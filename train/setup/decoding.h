/* Decoding on the devices of a network: batches of undecoded records (AN_DECODE_DEVICE of augment/loader.h) become
 * pixels where an exec needs them. Made before the exec, which borrows it, and freed after it. One thread uses it.
 * Failures are those of augment/decoder.h; AN_EIO where the machine lacks what decoding needs. */
#ifndef AN_TRAIN_SETUP_DECODING_H
#define AN_TRAIN_SETUP_DECODING_H

#include "augment/loader.h"
#include "model/exec.h"

typedef struct an_train_decoding an_train_decoding;

typedef struct {
    const char *devices; /* as in an_exec_options: GPUs */
    uint32_t batch;      /* samples at most */
    uint32_t side, crop; /* of records and of samples, pixels */
    size_t block;        /* bytes of a batch of records at most */
} an_train_decoding_options;

int an_train_decoding_create(an_train_decoding **out, const an_train_decoding_options *options);
void an_train_decoding_free(an_train_decoding *decoding); /* NULL is fine */

/* What exec takes; belongs to decoding. NULL for NULL. */
const an_image_decoder *an_train_decoding_decoder(const an_train_decoding *decoding);
uint64_t an_train_decoding_memory(const an_train_decoding *decoding); /* bytes on all devices, without the exec's */

#endif
