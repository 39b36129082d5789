/* What the kernels report, as errors. The texts are those of store/coef/format.c and its neighbours. */
#include "augment/cuda/decoder_cuda.h"
#include "base/error.h"
#include "store/coef/format.h"

static int explain_block(uint32_t code, const an_decode_detail *d)
{
    switch (code) {
    case AN_DECODE_PLACE:
        return an_error(AN_ECORRUPT, "the payload lies outside of its batch");
    case AN_DECODE_KIND:
        return an_error(AN_EUNSUPPORTED, "devices decode payloads of codec coef only");
    case AN_DECODE_CROP:
        return an_error(AN_EINVAL, "the crop leaves the record");
    default:
        return an_error(AN_ECORRUPT, "pixels of %u bytes where a crop has %u", d->first, d->second);
    }
}

int an_decode_explain(const an_decode_report *report, uint32_t side)
{
    const an_decode_detail *d = &report->detail;
    uint32_t code = (uint32_t)report->fault;
    switch (code) {
    case AN_DECODE_TRUNCATED:
        return an_error(AN_ECORRUPT, "coef payload is truncated: %u bytes", d->first);
    case AN_DECODE_VERSION:
        return an_error(AN_EUNSUPPORTED, "coef payload has version %u, this program reads version %d", d->first,
                        AN_COEF_VERSION);
    case AN_DECODE_HEADER:
        return an_error(AN_ECORRUPT, "coef payload has a damaged header");
    case AN_DECODE_IMPOSSIBLE:
        return an_error(AN_ECORRUPT, "coef payload has an impossible size: %u x %u", d->first, d->second);
    case AN_DECODE_OTHER_SIDE:
        return an_error(AN_ECORRUPT, "coef payload of %ux%u pixels where %ux%u are declared", d->first, d->second, side,
                        side);
    case AN_DECODE_LENGTHS:
        return an_error(AN_ECORRUPT, "coef payload is damaged: rows of %u bytes where %u are announced", d->first,
                        d->second);
    case AN_DECODE_STREAMS:
        return an_error(AN_ECORRUPT, "coef payload is damaged: streams of a row of blocks do not fit it");
    default:
        return explain_block(code, d);
    }
}
