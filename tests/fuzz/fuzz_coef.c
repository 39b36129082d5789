/* Codec coef both ways. Input: x, y, width, height of a window (a byte each, wrapped into the image), then a payload or
 * a JPEG file. Every tier must judge a payload alike and give the same pixels. A window has the pixels of the whole
 * picture, and is refused only if that is. What is made from a JPEG must decode and turn back into the same payload. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "store/coef/coef.h"

enum { TIERS = 3, SIDE_MAX = 512 };

static an_coef_encoder *encoder;
static an_coef_decoder *decoders[TIERS];

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void set_up(void)
{
    if (encoder)
        return;
    for (int t = 0; t < TIERS; t++)
        if (an_coef_decoder_create_tier(&decoders[t], (an_simd_tier)t) == AN_ENOMEM)
            __builtin_trap();
    if (an_coef_encoder_create(&encoder))
        __builtin_trap();
}

/* The tiers' common answer, and the pixels if there are any: *out is the caller's to free. */
static int decode(const uint8_t *payload, size_t size, const an_window *window, uint8_t **out)
{
    int answer = AN_OK;
    size_t stride = 3 * (size_t)window->width, bytes = stride * window->height;
    uint8_t *made = malloc(bytes); /* of exactly this size: the sanitizer sees a byte too many */
    *out = malloc(bytes);
    if (!made || !*out)
        __builtin_trap();
    for (int t = 0; t < TIERS; t++) {
        if (!decoders[t])
            continue;
        int rc = an_coef_decode_window(decoders[t], payload, size, window, t > 0 ? made : *out, stride);
        if (t > 0 && rc != answer)
            __builtin_trap();
        if (t > 0 && !rc && memcmp(made, *out, bytes) != 0)
            __builtin_trap();
        answer = rc;
    }
    free(made);
    if (answer && answer != AN_ECORRUPT && answer != AN_ENOMEM)
        __builtin_trap();
    return answer;
}

static void compare(const uint8_t *whole, uint32_t width, const uint8_t *part, const an_window *w)
{
    for (uint32_t y = 0; y < w->height; y++)
        for (uint32_t x = 0; x < w->width; x++) {
            uint32_t at = w->flip ? w->width - 1 - x : x;
            const uint8_t *expected = whole + 3 * ((size_t)(w->y + y) * width + w->x + x);
            if (memcmp(part + 3 * ((size_t)y * w->width + at), expected, 3) != 0)
                __builtin_trap();
        }
}

static void use_payload(const uint8_t *data, const uint8_t *payload, size_t size)
{
    an_coef_info info;
    an_buffer jpeg = {0};
    uint8_t *whole, *part;
    if (an_coef_info_read(payload, size, &info) || info.width > SIDE_MAX || info.height > SIDE_MAX)
        return;
    an_window window = {.x = data[0] % info.width, .y = data[1] % info.height, .flip = data[0] & 1};
    window.width = 1 + data[2] % (info.width - window.x);
    window.height = 1 + data[3] % (info.height - window.y);
    int rc = decode(payload, size, &(an_window){0, 0, info.width, info.height, false}, &whole);
    int rc_part = decode(payload, size, &window, &part);
    if (!rc && rc_part)
        __builtin_trap();
    if (!rc)
        compare(whole, info.width, part, &window);
    if (rc && !an_coef_to_jpeg(encoder, payload, size, &jpeg))
        __builtin_trap();
    if (!rc)
        (void)an_coef_to_jpeg(encoder, payload, size, &jpeg); /* refuses coefficients beyond what baseline can write */
    free(whole);
    free(part);
    an_buffer_free(&jpeg);
}

static void use_jpeg(const uint8_t *file, size_t size)
{
    an_buffer payload = {0}, jpeg = {0}, again = {0};
    an_coef_info info;
    uint8_t *pixels;
    if (!an_coef_encode_jpeg(encoder, file, size, &payload)) {
        if (an_coef_info_read(payload.data, payload.size, &info) ||
            decode(payload.data, payload.size, &(an_window){0, 0, info.width, info.height, false}, &pixels))
            __builtin_trap();
        free(pixels);
        /* coefficients beyond what baseline can write are refused on the way back */
        if (!an_coef_to_jpeg(encoder, payload.data, payload.size, &jpeg) &&
            (an_coef_encode_jpeg(encoder, jpeg.data, jpeg.size, &again) || again.size != payload.size ||
             memcmp(again.data, payload.data, payload.size)))
            __builtin_trap();
    }
    an_buffer_free(&payload);
    an_buffer_free(&jpeg);
    an_buffer_free(&again);
}

/* Pixels that a JPEG file's frame header announces; none found: 0. */
static uint64_t pixels_of(const uint8_t *file, size_t size)
{
    uint64_t most = 0;
    for (size_t i = 0; i + 8 < size; i++)
        if (file[i] == 0xff && file[i + 1] >= 0xc0 && file[i + 1] <= 0xcf) {
            uint64_t pixels = (uint64_t)(file[i + 5] << 8 | file[i + 6]) * (uint64_t)(file[i + 7] << 8 | file[i + 8]);
            most = pixels > most ? pixels : most;
        }
    return most;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    set_up();
    if (size < 6)
        return 0;
    if (data[4] != 0xff)
        use_payload(data, data + 4, size - 4);
    else if (pixels_of(data + 4, size - 4) <= SIDE_MAX * SIDE_MAX)
        use_jpeg(data + 4, size - 4);
    return 0;
}
