/* The kernels on a device. */
#include "model/cuda/kernels/launch.h"

AN_KERNELS(KERNEL, WARP)
