#include "base/program/print.h"

#include <stdlib.h>
#include <string.h>

#include "base/text/utf8.h"

static void write_shown(FILE *to, const char *text)
{
    size_t size = strlen(text);
    for (size_t at = 0; at < size;) {
        char shown[AN_UTF8_SHOWN_MAX];
        size_t plain = strcspn(text + at, "\n\t");
        if (!plain) {
            putc_unlocked(text[at++], to);
            continue;
        }
        at += an_utf8_show_character(text + at, plain, shown);
        fputs_unlocked(shown, to);
    }
}

void an_print_to(FILE *to, const char *format, va_list arguments)
{
    char line[1024], *text = line;
    va_list again;
    va_copy(again, arguments);
    int size = vsnprintf(line, sizeof(line), format, arguments);
    if (size >= (int)sizeof(line) && vasprintf(&text, format, again) < 0)
        text = line; /* without memory it is cut */
    va_end(again);
    flockfile(to);
    if (size > 0)
        write_shown(to, text);
    funlockfile(to);
    if (text != line)
        free(text);
}

void an_print(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    an_print_to(stdout, format, arguments);
    va_end(arguments);
}
