#include "store/image/planes/dct_range.h"

#include <stddef.h>

static bool fits(int32_t a)
{
    return a >= INT16_MIN && a <= INT16_MAX;
}

static bool sums_fit(const int32_t *v, size_t step)
{
    return fits(v[0] + v[4 * step]) && fits(v[0] - v[4 * step]) && fits(v[3 * step] + v[7 * step]) &&
           fits(v[step] + v[5 * step]);
}

/* The first pass of one column in real numbers, which cannot overflow: within 1 of the integer result. */
static bool column_fits(const int32_t *v, double out[8])
{
    static const double cosine[8][8] = {
        {1, 1.3870398453221475, 1.3065629648763766, 1.1758756024193588, 1, 0.7856949583871023, 0.5411961001461971,
         0.2758993792829431},
        {1, 1.1758756024193588, 0.5411961001461971, -0.2758993792829431, -1, -1.3870398453221475, -1.3065629648763766,
         -0.7856949583871023},
        {1, 0.7856949583871023, -0.5411961001461971, -1.3870398453221475, -1, 0.2758993792829431, 1.3065629648763766,
         1.1758756024193588},
        {1, 0.2758993792829431, -1.3065629648763766, -0.7856949583871023, 1, 1.1758756024193588, -0.5411961001461971,
         -1.3870398453221475},
    };
    bool all = true;
    for (int r = 0; r < 8; r++) {
        double sum = 0;
        for (int k = 0; k < 8; k++)
            sum += (r < 4 ? cosine[r][k] : (k % 2 ? -cosine[7 - r][k] : cosine[7 - r][k])) * v[8 * k];
        out[r] = 4 * sum;
        all &= out[r] > INT16_MIN + 1 && out[r] < INT16_MAX - 1;
    }
    return all;
}

static bool passes_fit(const int32_t *v)
{
    int32_t half[64];
    for (int c = 0; c < 8; c++) {
        double out[8];
        if (!sums_fit(v + c, 8) || !column_fits(v + c, out))
            return false;
        for (int r = 0; r < 8; r++)
            half[8 * r + c] =
                (int32_t)(out[r] + (out[r] < 0 ? -2 : 2)); /* rounded away from zero, to be on the safe side */
    }
    for (int r = 0; r < 8; r++)
        if (!sums_fit(half + 8 * r, 1))
            return false;
    return true;
}

bool an_dct_in_range(const int16_t block[64], const uint16_t quantisation[64])
{
    int32_t products[64];
    for (int i = 0; i < 64; i++) {
        products[i] = block[i] * quantisation[i];
        if (!fits(products[i]))
            return false;
    }
    return passes_fit(products);
}
