#include "base/format.h"

size_t an_dtype_size(an_dtype dtype)
{
    switch (dtype) {
    case AN_DTYPE_U8:
        return 1;
    case AN_DTYPE_F32:
        return 4;
    case AN_DTYPE_BF16:
    case AN_DTYPE_F16:
        return 2;
    }
    return 0;
}

const char *an_dtype_name(an_dtype dtype)
{
    switch (dtype) {
    case AN_DTYPE_U8:
        return "u8";
    case AN_DTYPE_F32:
        return "f32";
    case AN_DTYPE_BF16:
        return "bf16";
    case AN_DTYPE_F16:
        return "f16";
    }
    return "unknown";
}

const char *an_layout_name(an_layout layout)
{
    return layout == AN_LAYOUT_NHWC ? "nhwc" : "nchw";
}
