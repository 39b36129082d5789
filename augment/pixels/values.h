/* From the bytes of a decoded picture to a network's values, for hosts and devices alike:
 *
 *     value = ((byte - mean) + shift) * (scale * factor)
 *
 * in single precision and in this order, scale being an_value_scale of the colour; shift and factor are the draw's
 * (base/format.h). What is computed beforehand is computed by these functions, so that hosts and devices give the same
 * bits. Pure computation: nothing can fail. */
#ifndef AN_AUGMENT_PIXELS_VALUES_H
#define AN_AUGMENT_PIXELS_VALUES_H

#include <float.h>
#include <stdbool.h>
#include <stdint.h>

/* What the values of a colour are multiplied with. deviation 0: nothing is divided. */
static inline float an_value_scale(double scale, double deviation)
{
    return (float)(deviation > 0 ? scale / deviation : scale);
}

/* Whether a deviation other than 0 leaves a number to multiply with that single precision holds. */
static inline bool an_value_scale_possible(double scale, double deviation)
{
    double value = scale / deviation;
    return deviation > 0 && value >= FLT_MIN && value <= FLT_MAX;
}

/* Grey out of red, green and blue: the luma of ITU-R BT.601 with 16 fractional bits. AN_GREY_BYTE rounds it to nearest;
 * it is a macro, so that the kernels of devices can use it. */
enum { AN_GREY_RED = 19595, AN_GREY_GREEN = 38470, AN_GREY_BLUE = 7471, AN_GREY_BITS = 16 };

#define AN_GREY_BYTE(red, green, blue)                                                                                 \
    ((AN_GREY_RED * (uint32_t)(red) + AN_GREY_GREEN * (uint32_t)(green) + AN_GREY_BLUE * (uint32_t)(blue) +            \
      (1u << (AN_GREY_BITS - 1))) >>                                                                                   \
     AN_GREY_BITS)

/* The same of means. */
static inline double an_value_grey(const double rgb[3])
{
    return (AN_GREY_RED * rgb[0] + AN_GREY_GREEN * rgb[1] + AN_GREY_BLUE * rgb[2]) / (1 << AN_GREY_BITS);
}

#endif
