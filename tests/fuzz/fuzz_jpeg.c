/* Whole JPEG files, as ingest meets them. Input: smallest side wanted, then the file. */
#include "base/error.h"
#include "store/jpeg/jpeg.h"

enum { PIXELS_MAX = 1 << 18 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static an_jpeg_decoder *decoder;
    static an_image image;
    an_jpeg_info info;
    if (!decoder && an_jpeg_decoder_create(&decoder))
        __builtin_trap();
    if (size < 2)
        return 0;
    int rc = an_jpeg_info_read(decoder, data + 1, size - 1, &info);
    if (rc && !an_jpeg_decode(decoder, data + 1, size - 1, data[0], PIXELS_MAX, &image, NULL))
        __builtin_trap(); /* a whole decode reads that header too */
    if (!rc)
        (void)an_jpeg_decode(decoder, data + 1, size - 1, data[0], PIXELS_MAX, &image, &info);
    return 0;
}
