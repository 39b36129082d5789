/* Other ways to run kernels of a step, which gpu_kernels.c times beside those that are used. */
#include "model/cuda/kernels/launch.h"

AN_BODY void an_body_lrn_peaks_narrow(const an_peaks_args *a, uint64_t i)
{
    an_body_lrn_peaks(a, i);
}

AN_BODY void an_body_lrn_peaks_back_four(const an_peaks_back_args *a, uint64_t i)
{
    an_peaks_back(a, i, 2, 2, 1);
}

AN_BODY void an_body_lrn_peaks_back_one(const an_peaks_back_args *a, uint64_t i)
{
    an_peaks_back(a, i, 1, 1, 1);
}

AN_BODY void an_body_lrn_peaks_back_narrow(const an_peaks_back_args *a, uint64_t i)
{
    an_peaks_back(a, i, 1, 2, 1);
}

KERNEL_OF(3, lrn_peaks_narrow, an_peaks_args)
KERNEL_OF(2, lrn_peaks_back_four, an_peaks_back_args)
KERNEL_OF(3, lrn_peaks_back_one, an_peaks_back_args)
KERNEL_OF(3, lrn_peaks_back_narrow, an_peaks_back_args)
