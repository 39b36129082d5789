#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char current[AN_ERROR_MAX];
static _Thread_local int current_number;

/* The length of text without a UTF-8 character at its end that a cut at size left incomplete. */
static size_t whole_characters(const char *text, size_t size)
{
    size_t start = size;
    while (start > 0 && size - start < 3 && ((unsigned char)text[start - 1] & 0xc0) == 0x80)
        start--;
    if (start == 0)
        return size;
    unsigned char first = (unsigned char)text[start - 1];
    size_t length = first < 0xc0 ? 1 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
    return size - (start - 1) < length ? start - 1 : size;
}

static void build(char text[AN_ERROR_MAX], const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));

/* Texts are built beside the current message, never in it: arguments may point at an_error_message(). */
static void build(char text[AN_ERROR_MAX], const char *format, va_list arguments)
{
    int size = vsnprintf(text, AN_ERROR_MAX, format, arguments);
    if (size < 0)
        text[0] = '\0';
    else if (size >= AN_ERROR_MAX)
        text[whole_characters(text, AN_ERROR_MAX - 1)] = '\0';
}

static void append(char text[AN_ERROR_MAX], const char *more)
{
    const char *const parts[] = {": ", more};
    size_t used = strlen(text);
    for (int i = 0; i < 2; i++) {
        size_t size = strlen(parts[i]), room = AN_ERROR_MAX - 1 - used;
        if (size > room)
            size = whole_characters(parts[i], room);
        memcpy(text + used, parts[i], size);
        used += size;
    }
    text[used] = '\0';
}

int an_error(int code, const char *format, ...)
{
    char text[AN_ERROR_MAX];
    va_list arguments;
    va_start(arguments, format);
    build(text, format, arguments);
    va_end(arguments);
    memcpy(current, text, strlen(text) + 1);
    current_number = 0;
    return code;
}

static int code_of_errno(int errnum)
{
    switch (errnum) {
    case ENOSPC:
    case EDQUOT:
        return AN_ENOSPC;
    case ENOMEM:
        return AN_ENOMEM;
    case ENOENT:
        return AN_ENOTFOUND;
    default:
        return AN_EIO;
    }
}

int an_error_errno(int errnum, const char *format, ...)
{
    char text[AN_ERROR_MAX], reason[128];
    va_list arguments;
    va_start(arguments, format);
    build(text, format, arguments);
    va_end(arguments);
    append(text, strerror_r(errnum, reason, sizeof reason));
    memcpy(current, text, strlen(text) + 1);
    current_number = errnum;
    return code_of_errno(errnum);
}

int an_error_prefix(int code, const char *format, ...)
{
    char text[AN_ERROR_MAX];
    va_list arguments;
    va_start(arguments, format);
    build(text, format, arguments);
    va_end(arguments);
    append(text, current);
    memcpy(current, text, strlen(text) + 1);
    return code;
}

const char *an_error_message(void)
{
    return current;
}

int an_error_number(void)
{
    return current_number;
}

void an_error_save(an_error_state *state, int code)
{
    state->code = code;
    state->number = current_number;
    memcpy(state->message, current, strlen(current) + 1);
}

int an_error_restore(const an_error_state *state)
{
    (void)an_error(state->code, "%s", state->message);
    current_number = state->number;
    return state->code;
}

int an_error_exit_code(int code)
{
    switch (code) {
    case AN_OK:
    case AN_END:
        return AN_EXIT_OK;
    case AN_STOPPED:
        return AN_EXIT_INTERRUPTED;
    case AN_EINVAL:
        return AN_EXIT_USAGE;
    case AN_ECORRUPT:
    case AN_EUNSUPPORTED:
        return AN_EXIT_DATA;
    default:
        return AN_EXIT_FAILURE;
    }
}
