#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static _Thread_local char current[AN_ERROR_MAX];

static void build(char text[AN_ERROR_MAX], const char *format, va_list arguments) __attribute__((format(printf, 2, 0)));

/* Texts are built beside the current message, never in it: arguments may point at an_error_message(). */
static void build(char text[AN_ERROR_MAX], const char *format, va_list arguments)
{
    if (vsnprintf(text, AN_ERROR_MAX, format, arguments) < 0)
        text[0] = '\0';
}

static void append(char text[AN_ERROR_MAX], const char *more)
{
    const char *const parts[] = {": ", more};
    size_t used = strlen(text);
    for (int i = 0; i < 2; i++) {
        size_t size = strlen(parts[i]), room = AN_ERROR_MAX - 1 - used;
        if (size > room)
            size = room;
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

void an_error_save(an_error_state *state, int code)
{
    state->code = code;
    memcpy(state->message, current, strlen(current) + 1);
}

int an_error_restore(const an_error_state *state)
{
    return an_error(state->code, "%s", state->message);
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
        return AN_EXIT_DATA;
    default:
        return AN_EXIT_FAILURE;
    }
}
