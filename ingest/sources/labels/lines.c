#include "ingest/sources/labels/lines_private.h"

#include <ctype.h>
#include <string.h>

#include "base/error.h"
#include "base/file.h"

#define FILE_MAX ((size_t)1 << 30)
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

static const char *skip_mark(const char *text)
{
    return strncmp(text, BYTE_ORDER_MARK, strlen(BYTE_ORDER_MARK)) == 0 ? text + strlen(BYTE_ORDER_MARK) : text;
}

static uint32_t line_of(const char *text, const char *at)
{
    uint32_t line = 1;
    for (; text < at; text++)
        line += *text == '\n';
    return line;
}

/* Is it text whose lines end with LF or CRLF? What else there is would be cut or joined in silence. */
static int check(const an_buffer *text, size_t size)
{
    const char *begin = (const char *)text->data;
    if (size >= 2 && (memcmp(begin, "\xff\xfe", 2) == 0 || memcmp(begin, "\xfe\xff", 2) == 0))
        return an_error(AN_ECORRUPT, "it is UTF-16: save it as UTF-8");
    const char *null = memchr(begin, 0, size);
    if (null)
        return an_error(AN_ECORRUPT, "line %u: a null byte: it is no text file", line_of(begin, null));
    for (const char *at = begin; (at = strchr(at, '\r')); at++)
        if (at[1] && at[1] != '\n' && at[1] != '\r')
            return an_error(AN_ECORRUPT, "line %u: a carriage return within it: end lines with a line feed",
                            line_of(begin, at));
    return AN_OK;
}

static int start(an_lines *lines)
{
    size_t size = lines->text.size;
    int rc = an_buffer_append(&lines->text, "", 1);
    if (!rc)
        rc = check(&lines->text, size);
    if (rc)
        return rc;
    char *text = (char *)lines->text.data;
    lines->rest = text + (skip_mark(text) - text);
    return AN_OK;
}

int an_lines_read(an_lines *lines, const char *path)
{
    memset(lines, 0, sizeof(*lines));
    int rc = an_file_read(path, FILE_MAX, &lines->text);
    if (rc)
        return rc;
    rc = start(lines);
    return rc ? an_error_prefix(rc, "'%s'", path) : AN_OK;
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

static bool is_comment(const an_lines *lines, const char *line)
{
    if (line[0] != '#')
        return false;
    return !line[1] || strchr(" \t#", line[1]) || !strpbrk(line, lines->paths ? " \t" : "\t");
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
        if (*at && !is_comment(lines, at))
            return true;
    }
    return false;
}

int an_line_check_mark(const char *line)
{
    if (line[0] != '#')
        return AN_OK;
    return an_error(AN_ECORRUPT,
                    "'%.200s' may be a comment or not: begin a comment with '# ', and the path of an image with './#'",
                    line);
}

bool an_line_is_ambiguous(const char *line)
{
    const char *separator = strchr(line, '\t') ? "\t" : " ", *first = strpbrk(line, separator);
    return first && strpbrk(first + strspn(first, " \t"), separator);
}

static char *cut_at(char *line, char *at)
{
    if (!at)
        return line + strlen(line);
    *at++ = 0;
    return at + strspn(at, " \t");
}

/* A number, or the id of a synset of WordNet such as n01440764. */
static bool is_plain_id(const char *text, size_t length)
{
    size_t letters = length == 9 && *text == 'n', digits = strspn(text + letters, "0123456789");
    return digits > 0 && letters + digits == length;
}

char *an_line_cut_id(char *line)
{
    char *tab = strchr(line, '\t');
    size_t word = strcspn(line, " ");
    return cut_at(line, tab || !line[word] || !is_plain_id(line, word) ? tab : line + word);
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
