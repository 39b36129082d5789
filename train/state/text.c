#include "train/state/text.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { ESCAPE = 4 }; /* characters of "\xHH" */

static bool is_continuation(uint8_t byte)
{
    return (byte & 0xc0) == 0x80;
}

/* Bytes of the UTF-8 character at the beginning of text, 0 if there is none. Overlong forms, surrogates and numbers
 * above U+10FFFF are none: RFC 3629. */
static size_t character_size(const uint8_t *text, size_t length)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    if (text[0] < 0x80)
        return 1;
    size_t size = text[0] >= 0xf0 ? 4 : text[0] >= 0xe0 ? 3 : 2;
    if (text[0] < 0xc2 || text[0] > 0xf4 || size > length)
        return 0;
    uint32_t number = text[0] & (0xffu >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if (!is_continuation(text[i]))
            return 0;
        number = number << 6 | (text[i] & 0x3f);
    }
    bool surrogate = number >= 0xd800 && number <= 0xdfff;
    return number < smallest[size] || number > 0x10ffff || surrogate ? 0 : size;
}

static int digit(char c)
{
    static const char digits[] = "0123456789abcdef";
    const char *place = c ? strchr(digits, c) : NULL;
    return place ? (int)(place - digits) : -1;
}

/* The byte that an escape at the beginning of text stands for, -1 if there is none. */
static int escaped_byte(const char *text, size_t length)
{
    if (length < ESCAPE || text[0] != '\\' || text[1] != 'x')
        return -1;
    int high = digit(text[2]), low = digit(text[3]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

static size_t put_escape(char *out, uint8_t byte)
{
    static const char digits[] = "0123456789abcdef";
    out[0] = '\\';
    out[1] = 'x';
    out[2] = digits[byte >> 4];
    out[3] = digits[byte & 15];
    return ESCAPE;
}

char *an_text_escape(const char *bytes, size_t length)
{
    char *out = malloc(length * ESCAPE + 1);
    size_t size = 0;
    for (size_t at = 0, step; out && at < length; at += step) {
        step = character_size((const uint8_t *)bytes + at, length - at);
        if (step == 0 || escaped_byte(bytes + at, length - at) >= 0) {
            size += put_escape(out + size, (uint8_t)bytes[at]);
            step = 1;
            continue;
        }
        memcpy(out + size, bytes + at, step);
        size += step;
    }
    if (out)
        out[size] = '\0';
    return out;
}

char *an_text_unescape(const char *text)
{
    size_t length = strlen(text), size = 0;
    char *out = malloc(length + 1);
    for (size_t at = 0; out && at < length;) {
        int byte = escaped_byte(text + at, length - at);
        out[size++] = byte < 0 ? text[at] : (char)byte;
        at += byte < 0 ? 1 : ESCAPE;
    }
    if (out)
        out[size] = '\0';
    return out;
}

struct json_t *an_text_json(const char *bytes, size_t length)
{
    char *text = an_text_escape(bytes, length);
    json_t *string = text ? json_string(text) : NULL;
    free(text);
    return string;
}
