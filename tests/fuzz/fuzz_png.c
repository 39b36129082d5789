/* PNG files of every kind. */
#include "base/error.h"
#include "ingest/picture/png.h"

#define PIXELS_MAX ((uint64_t)1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static an_buffer scratch;
    static an_image image;
    (void)an_png_decode(data, size, PIXELS_MAX, &scratch, &image);
    return 0;
}
