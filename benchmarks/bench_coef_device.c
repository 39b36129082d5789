#include "benchmarks/bench_coef_device.h"

#include "augment/cuda/decoder_cuda.h"
#include "augment/cuda/kernels/host.h"
#include "base/error.h"

int bench_coef_device(const uint8_t *payload, size_t size, uint32_t side, uint32_t crop, const an_image_draw *draw,
                      uint8_t *out)
{
    an_decode_report report;
    if (!an_decode_one_on_host(payload, size, side, crop, draw, out, &report))
        return an_error(AN_ENOMEM, "out of memory");
    return report.fault == AN_DECODE_NONE ? AN_OK : an_decode_explain(&report, side);
}
