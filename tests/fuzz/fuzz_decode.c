/* Payloads through the arithmetic of the kernels that decode them on devices. Input: x, y, crop and mirroring (a byte
 * each, wrapped into the picture), then a payload. The verdict must be that of the host's decoder, and so must the
 * pixels of a payload that both accept. */
#include <stdlib.h>
#include <string.h>

#include "augment/cuda/decoder_cuda.h"
#include "augment/cuda/kernels/host.h"
#include "base/error.h"
#include "store/coef/coef.h"

enum { SIDE_MAX = 400 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void decode(an_coef_decoder *decoder, const uint8_t *payload, size_t size, uint32_t side, uint32_t crop,
                   const an_image_draw *draw)
{
    size_t bytes = (size_t)crop * crop * 3;
    uint8_t *made = malloc(bytes), *expected = malloc(bytes);
    an_window window = {draw->x, draw->y, crop, crop, draw->flip};
    an_decode_report report;
    if (!made || !expected || !an_decode_one_on_host(payload, size, side, crop, draw, made, &report))
        __builtin_trap();
    int rc = report.fault == AN_DECODE_NONE ? AN_OK : an_decode_explain(&report, side);
    if (an_coef_decode_window(decoder, payload, size, &window, expected, 3 * (size_t)crop) != rc)
        __builtin_trap();
    if (!rc && memcmp(made, expected, bytes) != 0)
        __builtin_trap();
    free(made);
    free(expected);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static an_coef_decoder *decoder;
    an_coef_info info;
    if (!decoder && an_coef_decoder_create_tier(&decoder, AN_SIMD_SCALAR))
        __builtin_trap();
    if (size < 5 || an_coef_info_read(data + 4, size - 4, &info) || info.width != info.height || info.width > SIDE_MAX)
        return 0;
    uint32_t crop = 1 + data[2] * 2u % info.width, range = info.width - crop + 1;
    an_image_draw draw = AN_IMAGE_DRAW(.x = data[0] % range, .y = data[1] % range, .flip = data[3] & 1);
    decode(decoder, data + 4, size - 4, info.width, crop, &draw);
    return 0;
}
