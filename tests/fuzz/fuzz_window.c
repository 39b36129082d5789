/* Payloads of every codec without their checksum. Input: codec, width, height, x, y, window's width and height (a byte
 * each, the window moved into the image), then the payload. */
#include <stdlib.h>

#include "base/error.h"
#include "store/codec.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static an_decoder *decoder;
    if (!decoder && an_decoder_create(&decoder))
        __builtin_trap();
    if (size < 8)
        return 0;
    uint32_t width = data[1] + 1u, height = data[2] + 1u;
    uint32_t x = data[3] % width, y = data[4] % height;
    uint32_t w = 1 + data[5] % (width - x), h = 1 + data[6] % (height - y);
    an_record record = {{.codec = an_codec_at(data[0] % an_codec_count()),
                         .width = width,
                         .height = height,
                         .length = (uint32_t)size - 7},
                        data + 7};
    uint8_t *out = malloc((size_t)w * h * 3); /* of exactly this size: the sanitizer sees a byte too many */
    if (!out)
        return 0;
    int rc = an_decoder_window(decoder, &record, x, y, w, h, out, (size_t)w * 3);
    if (rc && rc != AN_ECORRUPT && rc != AN_EUNSUPPORTED && rc != AN_ENOMEM)
        __builtin_trap();
    free(out);
    return 0;
}
