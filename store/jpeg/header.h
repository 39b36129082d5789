/* Opening a JPEG file with libjpeg-turbo, up to the first scan's data.
 *
 * A decompress object of libjpeg-turbo keeps its quantisation and Huffman tables from file to file, for files that come
 * without tables on purpose. Ours all stand alone: what a file does not define must not be taken from the file that was
 * read before. So an_jpeg_open takes the tables out of the object.
 *
 * The object itself stays from file to file. Making one calls getenv, which must not happen in threads of a library:
 * the program that the library serves may change its environment meanwhile (Python does with os.environ), and getenv
 * then reads freed memory. It is made with the decoder or encoder that owns it.
 *
 * For the JPEG decoder and for the coef encoder. An object belongs to one thread at a time. */
#ifndef AN_STORE_JPEG_HEADER_H
#define AN_STORE_JPEG_HEADER_H

#include <stdint.h>

#include "store/jpeg/errors.h"

/* Files with several scans: each scan is a pass over all coefficients of its components, however few bytes it has. A
 * file is refused when it has more scans than any encoder makes, or when the passes become long: Huffman scans may
 * visit AN_JPEG_VISITS_MAX blocks in all, which took 0.6 to 1.0 s where it was measured; for arithmetic ones, whose
 * decoder makes values even of no bytes, a visit counts AN_JPEG_VISIT_ARITHMETIC (0.6 s). The ten scans of a usual
 * progressive file visit each block four or five times: 16 million for 67 megapixels without subsampling. */
enum { AN_JPEG_SCANS_MAX = 500, AN_JPEG_VISITS_MAX = 1 << 26, AN_JPEG_VISIT_ARITHMETIC = 16 };

/* Memory for one file's tables: an object that allocates them anew for each file keeps those of all files. */
typedef struct {
    void *(*alloc_small)(j_common_ptr common, int pool, size_t size); /* libjpeg-turbo's own */
    JQUANT_TBL quantisation[NUM_QUANT_TBLS];
    JHUFF_TBL huffman[2 * NUM_HUFF_TBLS]; /* DC and AC */
    int quantisation_used, huffman_used;
} an_jpeg_tables;

/* What stands beside an object: what a file has used of the limits, and its tables. Zeros to begin with; it must stay
 * where it is as long as the object lives. */
typedef struct {
    struct jpeg_progress_mgr manager; /* first: libjpeg-turbo passes a pointer to it */
    an_jpeg_errors *errors;
    uint64_t visits;
    an_jpeg_tables tables;
} an_jpeg_limits;

/* Make `reader`, which is all zero but for client_data. To be called under an_jpeg_guard. */
void an_jpeg_begin(struct jpeg_decompress_struct *reader, an_jpeg_errors *errors, an_jpeg_limits *limits);

/* Reset the errors and read the header; from then on `limits` are watched, and going beyond them is AN_ECORRUPT or
 * AN_EUNSUPPORTED. To be called under an_jpeg_guard, and to be followed by an_jpeg_close even after a failure. The
 * bytes must remain until then. */
void an_jpeg_open(struct jpeg_decompress_struct *reader, an_jpeg_errors *errors, an_jpeg_limits *limits,
                  const uint8_t *data, size_t size);

/* Leave the file, wherever in it `reader` is. It may be closed already. */
void an_jpeg_close(struct jpeg_decompress_struct *reader);

/* Free what `reader` owns. It may be all zero. */
void an_jpeg_end(struct jpeg_decompress_struct *reader);

#endif
