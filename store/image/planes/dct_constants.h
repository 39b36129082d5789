/* The constants of the inverse DCT, as in libjpeg-turbo's jidctint.c, with 13 fractional bits. */
#ifndef AN_STORE_IMAGE_PLANES_DCT_CONSTANTS_H
#define AN_STORE_IMAGE_PLANES_DCT_CONSTANTS_H

enum {
    F_0_298 = 2446,
    F_0_390 = 3196,
    F_0_541 = 4433,
    F_0_765 = 6270,
    F_0_899 = 7373,
    F_1_175 = 9633,
    F_1_501 = 12299,
    F_1_847 = 15137,
    F_1_961 = 16069,
    F_2_053 = 16819,
    F_2_562 = 20995,
    F_3_072 = 25172,
};

#endif
