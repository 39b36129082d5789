/* Reads what ImageNet's meta.mat needs of MATLAB's files: version 5 ("-v7" and earlier), little-endian; struct arrays,
 * numbers and texts. Everything lies in memory: an array points into the file's bytes, or into those that were unpacked
 * from it, and lives as long as they do. Nothing is taken from the file without a look at the bounds. Memory beyond the
 * file's own is needed only where variables are compressed; a file's may unpack to AN_MATLAB_UNPACKED_MAX bytes
 * together. The layout is that of "MAT-File Format" (The MathWorks). Any thread; unusable files are AN_ECORRUPT or
 * AN_EUNSUPPORTED with a message. */
#ifndef AN_INGEST_SOURCES_LABELS_MATLAB_PRIVATE_H
#define AN_INGEST_SOURCES_LABELS_MATLAB_PRIVATE_H

#include <stdbool.h>

#include "base/buffer.h"

#define AN_MATLAB_UNPACKED_MAX ((size_t)64 << 20)

typedef struct {
    const uint8_t *at, *end;
} an_matlab_bytes;

typedef struct {
    uint8_t kind; /* AN_MATLAB_...; others are numbers, or what nobody here reads */
    bool complex;
    uint32_t rows, columns; /* all dimensions but the first multiplied */
    an_matlab_bytes name;
    an_matlab_bytes body; /* what follows the name */
} an_matlab_array;

enum { AN_MATLAB_STRUCT = 2, AN_MATLAB_TEXT = 4, AN_MATLAB_DOUBLE = 6, AN_MATLAB_UINT64 = 15 };

/* The variable called name. unpacked: the caller's; holds it where it is compressed. */
int an_matlab_find(const an_buffer *file, const char *name, an_buffer *unpacked, an_matlab_array *out);

/* A struct array: elements one after the other, each with all its fields in order. */
typedef struct {
    uint32_t count, fields;
    const uint8_t *names; /* of the fields, name_size bytes each, with a zero at the end */
    uint32_t name_size;
    an_matlab_bytes rest; /* fields that an_matlab_next has not read */
} an_matlab_struct;

int an_matlab_struct_open(an_matlab_struct *out, const an_matlab_array *array);
/* The position of a field; `fields` if there is none. */
uint32_t an_matlab_field(const an_matlab_struct *s, const char *name);
/* The next field. Call it count x fields times at most. */
int an_matlab_next(an_matlab_struct *s, an_matlab_array *out);

/* The value of a single whole number from 0 to max; false: it is none. */
bool an_matlab_whole(const an_matlab_array *array, uint32_t max, uint32_t *value);

/* A row of characters as UTF-8, without a zero in it: the caller's to free. Characters of one byte are taken as they
 * are. AN_ENOTFOUND, without a message: it is none. */
int an_matlab_text(char **out, const an_matlab_array *array);

#endif
