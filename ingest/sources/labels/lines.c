#include "ingest/sources/labels/lines_private.h"

#include <ctype.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"

#define FILE_MAX ((size_t)1 << 30)

static int start(an_lines *lines)
{
    int rc = an_buffer_append(&lines->text, "", 1);
    lines->rest = rc ? NULL : (char *)lines->text.data;
    return rc;
}

int an_lines_read(an_lines *lines, const char *path)
{
    memset(lines, 0, sizeof(*lines));
    int rc = an_file_read(path, FILE_MAX, &lines->text);
    return rc ? rc : start(lines);
}

int an_lines_parse(an_lines *lines, const void *text, size_t size)
{
    memset(lines, 0, sizeof(*lines));
    int rc = an_buffer_append(&lines->text, text, size);
    return rc ? rc : start(lines);
}

void an_lines_free(an_lines *lines)
{
    an_buffer_free(&lines->text);
}

bool an_lines_next(an_lines *lines, char **line)
{
    while (lines->rest && *lines->rest) {
        char *at = lines->rest, *end = strchr(at, '\n');
        lines->rest = end ? end + 1 : NULL;
        lines->number++;
        end = end ? end : at + strlen(at);
        while (end > at && isspace((unsigned char)end[-1]))
            end--;
        *end = 0;
        at += strspn(at, " \t");
        *line = at;
        if (*at && *at != '#')
            return true;
    }
    return false;
}

static char *cut_at(char *line, char *at)
{
    if (!at)
        return line + strlen(line);
    *at++ = 0;
    return at + strspn(at, " \t");
}

char *an_line_cut_first(char *line)
{
    char *tab = strchr(line, '\t');
    return cut_at(line, tab ? tab : strchr(line, ' '));
}

char *an_line_cut_last(char *line)
{
    char *tab = strrchr(line, '\t');
    return cut_at(line, tab ? tab : strrchr(line, ' '));
}
