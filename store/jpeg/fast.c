/* The usual file's way: our own Huffman decoder (coef_scan.h) and the coef codec's kernels, the same samples as
 * libjpeg-turbo's at a fraction of its time. libjpeg-turbo reads the header, and everything that is not a sound
 * baseline file of a common kind: nothing of its state is touched here, so it can go on at once. */
#include "base/error.h"
#include "store/coef/coef_jpeg.h"
#include "store/jpeg/jpeg_errors.h"

int an_jpeg_fast_create(an_jpeg_decoder *d)
{
    if (an_cpu_simd() == AN_SIMD_SCALAR) /* libjpeg-turbo is as fast then */
        return AN_OK;
    int rc = an_coef_scan_create(&d->scan);
    return rc ? rc : an_coef_decoder_create(&d->coef);
}

void an_jpeg_fast_free(an_jpeg_decoder *d)
{
    an_coef_scan_free(d->scan);
    an_coef_decoder_free(d->coef);
}

int an_jpeg_fast_decode(an_jpeg_decoder *d, const an_coef_window *window, bool all, uint8_t *out, size_t stride)
{
    an_coef_info info;
    an_coef_layout layout;
    if (!d->coef || d->errors.warnings > 0 || !an_coef_has_layout(&d->jpeg, &info))
        return AN_AGAIN;
    if (info.sampling == AN_COEF_GREY &&
        d->jpeg.max_v_samp_factor > 1) /* read in pairs of rows of blocks, for nothing */
        return AN_AGAIN;
    an_coef_layout_set(&layout, &info);
    if (!an_coef_scan_start(d->scan, &d->jpeg, &layout))
        return AN_AGAIN;
    return an_coef_decode_scan(d->coef, d->scan, &layout, all, window, out, stride);
}
