#include "base/text/utf8.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"

/* The smallest code point that needs a character of each length: a smaller one is an overlong form. */
static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};

static size_t length_of(uint8_t first)
{
    if (first < 0x80)
        return 1;
    if (first < 0xc0)
        return 0; /* a continuation byte */
    if (first < 0xe0)
        return 2;
    if (first < 0xf0)
        return 3;
    return first < 0xf8 ? 4 : 0;
}

size_t an_utf8_character(const char *text, size_t size)
{
    const uint8_t *bytes = (const uint8_t *)text;
    size_t length = size ? length_of(bytes[0]) : 0;
    if (length <= 1)
        return length;
    if (length > size)
        return 0;
    uint32_t code = bytes[0] & (0x7fu >> length);
    for (size_t i = 1; i < length; i++) {
        if ((bytes[i] & 0xc0) != 0x80)
            return 0;
        code = code << 6 | (bytes[i] & 0x3f);
    }
    bool surrogate = code >= 0xd800 && code < 0xe000;
    return code < smallest[length] || code > 0x10ffff || surrogate ? 0 : length;
}

static int terminate(an_buffer *out)
{
    int rc = an_buffer_reserve(out, out->size + 1);
    if (!rc)
        out->data[out->size] = 0;
    return rc;
}

/* The code point of a valid character. */
static uint32_t code_of(const char *text, size_t length)
{
    uint32_t code = (uint8_t)text[0] & (length == 1 ? 0x7f : 0x7fu >> length);
    for (size_t i = 1; i < length; i++)
        code = code << 6 | ((uint8_t)text[i] & 0x3f);
    return code;
}

static bool controls(uint32_t code)
{
    static const uint32_t ranges[][2] = {
        {0, 0x1f},        {0x7f, 0x9f},     {0x61c, 0x61c}, /* C0; DEL and C1; Arabic letter mark */
        {0x200e, 0x200f}, {0x2028, 0x202e},                 /* marks of direction; separators, embeddings, overrides */
        {0x2066, 0x2069},                                   /* isolates */
    };
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        if (code >= ranges[i][0] && code <= ranges[i][1])
            return true;
    return false;
}

size_t an_utf8_show_character(const char *text, size_t size, char out[AN_UTF8_SHOWN_MAX])
{
    size_t length = an_utf8_character(text, size), bytes = length ? length : 1;
    if (length && !controls(code_of(text, length))) {
        memcpy(out, text, length);
        out[length] = 0;
        return length;
    }
    for (size_t i = 0; i < bytes; i++)
        (void)snprintf(out + 4 * i, 5, "\\x%02x", (uint8_t)text[i]);
    return bytes;
}

int an_utf8_show(const char *text, size_t size, an_buffer *out)
{
    int rc = AN_OK;
    for (size_t at = 0; at < size && !rc;) {
        char shown[AN_UTF8_SHOWN_MAX];
        at += an_utf8_show_character(text + at, size - at, shown);
        rc = an_buffer_append(out, shown, strlen(shown));
    }
    return rc ? rc : terminate(out);
}

an_shown an_shown_make_sized(const char *text, size_t size)
{
    an_shown out;
    size_t used = 0;
    for (size_t at = 0; at < size;) {
        char shown[AN_UTF8_SHOWN_MAX];
        at += an_utf8_show_character(text + at, size - at, shown);
        size_t length = strlen(shown);
        if (used + length >= sizeof(out.text))
            break;
        memcpy(out.text + used, shown, length);
        used += length;
    }
    out.text[used] = 0;
    return out;
}

an_shown an_shown_make(const char *text)
{
    return an_shown_make_sized(text, strlen(text));
}

bool an_utf8_is_valid(const char *text, size_t size)
{
    for (size_t at = 0; at < size;) {
        size_t length = an_utf8_character(text + at, size - at);
        if (!length)
            return false;
        at += length;
    }
    return true;
}

size_t an_utf8_cut(const char *text, size_t size, size_t limit)
{
    if (size <= limit)
        return size;
    /* The character that reaches over the limit, if any, begins at most three bytes before it. */
    for (size_t back = 1; back <= 3 && back <= limit; back++) {
        size_t start = limit - back;
        if (an_utf8_character(text + start, size - start) > back)
            return start;
    }
    return limit;
}

static int digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

enum { ESCAPE = 4 }; /* characters of \xHH */

/* The byte that an escape at the beginning of text stands for, or -1 if there is none. */
static int escaped_byte(const char *text, size_t size)
{
    if (size < ESCAPE || text[0] != '\\' || text[1] != 'x')
        return -1;
    int high = digit(text[2]), low = digit(text[3]);
    return high < 0 || low < 0 ? -1 : high * 16 + low;
}

int an_utf8_escape(const char *text, size_t size, an_buffer *out)
{
    int rc = 0;
    for (size_t at = 0; at < size && !rc;) {
        size_t length = an_utf8_character(text + at, size - at);
        if (!length || escaped_byte(text + at, size - at) >= 0)
            rc = an_buffer_printf(out, "\\x%02x", (uint8_t)text[at]);
        else
            rc = an_buffer_append(out, text + at, length);
        at += length ? length : 1;
    }
    return rc ? rc : terminate(out);
}

int an_utf8_unescape(const char *text, size_t size, an_buffer *out)
{
    int rc = 0;
    for (size_t at = 0; at < size && !rc;) {
        int escaped = escaped_byte(text + at, size - at);
        uint8_t byte = escaped < 0 ? (uint8_t)text[at] : (uint8_t)escaped;
        rc = an_buffer_append(out, &byte, 1);
        at += escaped < 0 ? 1 : ESCAPE;
    }
    return rc ? rc : terminate(out);
}
