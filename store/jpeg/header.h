/* Opening a JPEG file with libjpeg-turbo, up to the first scan's data.
 *
 * A decompress object of libjpeg-turbo keeps its quantisation and Huffman tables from file to file, for files that come
 * without tables on purpose. Ours all stand alone: what a file does not define must not be taken from the file that was
 * read before. So there is a new object for every file, made by an_jpeg_open and ended by an_jpeg_close.
 *
 * For the JPEG decoder and for the coef encoder. An object belongs to one thread at a time. */
#ifndef AN_STORE_JPEG_HEADER_H
#define AN_STORE_JPEG_HEADER_H

#include <stdint.h>

#include "store/jpeg/errors.h"

/* Make `reader` anew, whatever it holds (client_data stays), reset the errors and read the header. To be called under
 * an_jpeg_guard, and to be followed by an_jpeg_close even after a failure. The bytes must remain until then. */
void an_jpeg_open(struct jpeg_decompress_struct *reader, an_jpeg_errors *errors, const uint8_t *data, size_t size);

/* Free what `reader` owns. It may be all zero, or closed already. */
void an_jpeg_close(struct jpeg_decompress_struct *reader);

#endif
