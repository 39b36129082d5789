/* Decoding a coef payload with the arithmetic of the kernels for devices, on the host. */
#ifndef AN_BENCHMARKS_BENCH_COEF_DEVICE_H
#define AN_BENCHMARKS_BENCH_COEF_DEVICE_H

#include <stddef.h>
#include <stdint.h>

#include "base/format.h"

/* A crop of crop x crop pixels of a payload of side x side pixels, as RGB bytes. */
int bench_coef_device(const uint8_t *payload, size_t size, uint32_t side, uint32_t crop, const an_image_draw *draw,
                      uint8_t *out);

#endif
