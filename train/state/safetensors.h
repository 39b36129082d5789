/* The safetensors format, as much of it as weights need: float32 tensors and string metadata are written; tensors of
 * float64, float16 and bfloat16, which other programs write, are converted when they are read. A file is the length of
 * its header (8 bytes, little-endian), the header (JSON) and the data (little-endian). Python's safetensors reads what
 * is written here, and the other way round.
 *
 * The metadata "xxh3" is a checksum of the whole file: 16 hexadecimal digits, XXH3-64 over the header with these digits
 * as zeros and over the data. Every file written here has it; files without it are read unchecked
 * (an_safetensors_guarded tells). An open file is used by one thread. */
#ifndef AN_TRAIN_STATE_SAFETENSORS_H
#define AN_TRAIN_STATE_SAFETENSORS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define AN_SAFETENSORS_RANK_MAX 8
#define AN_SAFETENSORS_HEADER_MAX 100000000 /* bytes, as the reference implementation allows */
#define AN_SAFETENSORS_VALUES_MAX (1 << 18) /* JSON values in the header: some ten thousand tensors */

typedef struct {
    const char *name;
    const char *dtype; /* as in the file: "F32"; only F32 is written */
    int rank;
    uint64_t shape[AN_SAFETENSORS_RANK_MAX];
    uint64_t begin, end; /* offsets in bytes within the data; when writing they are set for the caller */
} an_safetensor;

typedef struct {
    const char *key, *value; /* UTF-8 */
} an_safetensors_pair;

/* The number of a tensor's values; AN_EINVAL if it overflows. */
int an_safetensor_size(const an_safetensor *tensor, uint64_t *out);

/* Point *out to the values of tensor number, which must stay there until the next call. They may be put into room,
 * which has space for the largest tensor. Called for all tensors in order and then for all again, first for the
 * checksum and then for the data: it must give the same values both times. */
typedef int (*an_safetensors_fetch)(void *context, size_t number, float *room, const float **out);

/* Write atomically: path holds the old file or the complete new one. "xxh3" is added to the metadata. Names and
 * metadata must be UTF-8: else AN_EINVAL. */
int an_safetensors_write(const char *path, an_safetensor *tensors, size_t count, const an_safetensors_pair *metadata,
                         size_t pairs, an_safetensors_fetch fetch, void *context);

typedef struct an_safetensors an_safetensors;

/* Open a file and check every name, type, shape and offset: AN_ECORRUPT names the file and what is wrong. The data is
 * not read. */
int an_safetensors_open(an_safetensors **out, const char *path);
void an_safetensors_free(an_safetensors *file); /* NULL is fine */

bool an_safetensors_guarded(const an_safetensors *file);

/* Read all data: AN_ECORRUPT if the checksum is wrong, or if it is right and a tensor of type F32 holds a value that is
 * not finite. A file without a checksum passes unread. */
int an_safetensors_verify(an_safetensors *file);
bool an_safetensors_finite(const float *values, uint64_t count);   /* all of them */
int an_safetensors_not_finite(const char *path, const char *name); /* AN_ECORRUPT, with its message */

size_t an_safetensors_count(const an_safetensors *file);
const an_safetensor *an_safetensors_at(const an_safetensors *file, size_t number);      /* owned by file */
const an_safetensor *an_safetensors_find(const an_safetensors *file, const char *name); /* NULL if absent */
const char *an_safetensors_metadata(const an_safetensors *file, const char *key);       /* NULL if absent */
bool an_safetensors_is_f32(const an_safetensor *tensor);
/* Read a tensor's values as float32. F16 and BF16 lose nothing; F64 is rounded, and what is beyond float32 becomes
 * infinite. AN_EUNSUPPORTED for all other types. */
int an_safetensors_read(an_safetensors *file, const an_safetensor *tensor, float *out);

#endif
