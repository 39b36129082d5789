#include "store/jpeg/header.h"

void an_jpeg_open(struct jpeg_decompress_struct *reader, an_jpeg_errors *errors, const uint8_t *data, size_t size)
{
    an_jpeg_errors_reset(errors);
    reader->err = &errors->manager;
    jpeg_create_decompress(reader);
    jpeg_mem_src(reader, data, size);
    /* TRUE makes a file without an image an error, so the result is always JPEG_HEADER_OK. */
    (void)jpeg_read_header(reader, TRUE);
}

void an_jpeg_close(struct jpeg_decompress_struct *reader)
{
    jpeg_destroy_decompress(reader);
}
