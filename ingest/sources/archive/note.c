#include "ingest/sources/archive/note.h"

#include <stdarg.h>
#include <stdio.h>

#include "base/error.h"

#define NOTE_MAX 2048 /* longer ones are cut */

int an_note(an_buffer *notes, const char *format, ...)
{
    char text[NOTE_MAX];
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (size < 0)
        return an_error(AN_EINTERNAL, "cannot format text '%s'", format);
    for (unsigned char *at = (unsigned char *)text; *at; at++)
        if (*at < ' ' || *at == 127)
            *at = '?';
    return an_buffer_printf(notes, "%s\n", text);
}
