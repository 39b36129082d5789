#include "benchmarks/bench_coef_device.h"

#include <stdlib.h>

#include "augment/cuda/decoder_cuda.h"
#include "augment/cuda/kernels/host.h"
#include "base/error.h"

int bench_coef_device(const uint8_t *payload, size_t size, uint32_t side, uint32_t crop, const an_image_draw *draw,
                      uint8_t *out)
{
    size_t first = an_payload_first_offset(1), whole = first + size + AN_PAYLOAD_SLACK;
    uint64_t fault = AN_DECODE_NONE;
    an_decode_detail detail;
    an_decode_report report = {.fault = AN_DECODE_NONE};
    an_decode_state state = {.side = side, .crop = crop, .format = {AN_DTYPE_U8, AN_LAYOUT_NHWC, 3}, .scale = 1};
    uint8_t *block = aligned_alloc(16, (whole + 15) / 16 * 16), *planes = malloc(an_decode_planes_size(1, crop));
    int rc = block && planes ? AN_OK : an_error(AN_ENOMEM, "out of memory");
    if (!rc) {
        an_payload place = {.offset = (uint32_t)first, .size = (uint32_t)size, .kind = AN_PAYLOAD_COEF};
        memcpy(block, draw, sizeof *draw);
        memcpy(block + an_payload_places_offset(1), &place, sizeof place);
        memcpy(block + first, payload, size);
        state.planes = planes;
        state.fault = &fault;
        state.details = &detail;
        state.report = &report;
        an_decode_launches launches = an_decode_launches_of(&state, block, whole, 1, out);
        an_decode_on_host(&launches);
        if (report.fault != AN_DECODE_NONE)
            rc = an_decode_explain(&report, side);
    }
    free(block);
    free(planes);
    return rc;
}
