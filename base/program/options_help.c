/* Help text, in the order of the table of options. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/program/options_private.h"
#include "base/program/version.h"

#define WIDTH 79      /* columns used */
#define DOC_COLUMN 29 /* where descriptions begin */
#define OPTIONS "[OPTION...]"

/* Ends the help of every program. */
static const char common_text[] = "\n"
                                  "Exit status:\n"
                                  "  0                          success\n"
                                  "  1                          the system refused or failed: no such file, no\n"
                                  "                             permission, a full disk; or a library failed\n"
                                  "  2                          wrong options or arguments\n"
                                  "  3                          damaged or unusable data\n"
                                  "  130                        stopped by SIGINT or SIGTERM; what was done is kept\n"
                                  "\n"
                                  "Environment:\n"
                                  "  AN_LOG                     detail of messages: error, warning, info, debug\n"
                                  "  AN_SIMD                    instructions used: scalar, avx2, avx512 (default:\n"
                                  "                             the best that this processor has)\n";

/* Append one line's words, wrapped; column is where the output stands, indent where further lines begin. */
static int add_words(an_buffer *out, const char *text, size_t size, size_t column, size_t indent)
{
    int rc = AN_OK;
    bool first = true;
    for (size_t at = 0; !rc && at < size; first = false) {
        size_t word = strcspn(text + at, " \n");
        if (at + word > size)
            word = size - at;
        if (!first && column + 1 + word > WIDTH) {
            rc = an_buffer_printf(out, "\n%*s%.*s", (int)indent, "", (int)word, text + at);
            column = indent + word;
        } else {
            rc = an_buffer_printf(out, "%s%.*s", first ? "" : " ", (int)word, text + at);
            column += word + !first;
        }
        at += word;
        at += strspn(text + at, " ");
    }
    return rc ? rc : an_buffer_printf(out, "\n");
}

/* Append text line by line; lines that begin with a blank (examples) are kept as they are. */
static int add_text(an_buffer *out, const char *text)
{
    int rc = AN_OK;
    while (!rc && *text) {
        size_t size = strcspn(text, "\n");
        if (*text == ' ')
            rc = an_buffer_printf(out, "%.*s\n", (int)size, text);
        else
            rc = add_words(out, text, size, 0, 0);
        text += size + (text[size] == '\n');
    }
    return rc;
}

/* The value that an option has when it is not given; NULL if the help need not name it. */
static const char *default_of(const an_option *option)
{
    if (option->type == AN_OPTION_CHOICE && !option->initial)
        return option->choices[0];
    return option->type != AN_OPTION_FLAG && option->initial && *option->initial ? option->initial : NULL;
}

/* "side of the stored square image (8 to 4096; default 256)" */
static int describe(const an_option *option, an_buffer *out)
{
    const char *initial = default_of(option);
    int rc = an_buffer_printf(out, "%s (", option->help);
    if (rc)
        return rc;
    size_t opened = out->size;
    rc = an_options_describe(option, out);
    if (!rc && initial)
        rc = an_buffer_printf(out, "%sdefault %s", out->size > opened ? "; " : "", initial);
    if (!rc && out->size > opened)
        return an_buffer_printf(out, ")");
    if (!rc)
        out->size -= strlen(" ("); /* nothing to say in parentheses */
    return rc;
}

/* "  -s, --size=PIXELS          side of ..." */
static int add_row(an_buffer *out, const an_option *option, const char *doc, size_t doc_size)
{
    size_t start = out->size;
    const char *metavar = option->metavar ? option->metavar : "VALUE";
    bool argument = option->type != AN_OPTION_FLAG;
    int rc = option->key ? an_buffer_printf(out, "  -%c, ", option->key) : an_buffer_printf(out, "      ");
    if (!rc)
        rc = an_buffer_printf(out, "--%s%s%s", option->name, argument ? "=" : "", argument ? metavar : "");
    size_t column = out->size - start;
    if (!rc && column + 2 > DOC_COLUMN)
        rc = an_buffer_printf(out, "\n%*s", DOC_COLUMN, "");
    else if (!rc)
        rc = an_buffer_printf(out, "%*s", (int)(DOC_COLUMN - column), "");
    return rc ? rc : add_words(out, doc, doc_size, DOC_COLUMN, DOC_COLUMN);
}

static int add_option(an_buffer *out, const an_option *option)
{
    if (option->heading)
        return an_buffer_printf(out, "\n%s\n", option->heading);
    if (option->old_flag)
        return AN_OK;
    an_buffer doc = {0};
    int rc = describe(option, &doc);
    if (!rc)
        rc = add_row(out, option, (char *)doc.data, doc.size);
    an_buffer_free(&doc);
    return rc;
}

static int add_options(an_buffer *out, const an_option *options)
{
    int rc = AN_OK;
    for (const an_option *option = options; !rc && !an_options_is_last(option); option++)
        rc = add_option(out, option);
    return rc;
}

/* A form with subcommands says for itself where its options go. */
static bool names_options(const char *form, size_t size)
{
    const char *options = strstr(form, OPTIONS);
    return options && (size_t)(options - form) < size;
}

/* "Usage: an-ingest [OPTION...] SOURCE DESTINATION"; a usage of several lines gives several forms. */
static int add_usage(an_buffer *out, const an_options *spec)
{
    const char *form = spec->usage ? spec->usage : "";
    int rc = AN_OK;
    for (bool first = true; !rc && (first || *form); first = false) {
        size_t size = strcspn(form, "\n");
        rc = an_buffer_printf(out, "%s %s%s%s%.*s\n", first ? "Usage:" : "  or: ", spec->program,
                              names_options(form, size) ? "" : " " OPTIONS, size > 0 ? " " : "", (int)size, form);
        form += size + (form[size] == '\n');
    }
    return rc;
}

static int add_help(an_buffer *out, const an_options *spec)
{
    static const an_option common[] = {{.heading = "Help:"},
                                       {.name = "help", .key = 'h', .type = AN_OPTION_FLAG, .help = "show this text"},
                                       {.name = "usage", .type = AN_OPTION_FLAG, .help = "show the usage only"},
                                       {.name = "version", .type = AN_OPTION_FLAG, .help = "show the version"},
                                       {0}};
    int rc = add_usage(out, spec);
    if (!rc && spec->summary)
        rc = add_text(out, spec->summary);
    if (!rc)
        rc = add_options(out, spec->options);
    if (!rc)
        rc = add_options(out, common);
    if (!rc)
        rc = an_buffer_append(out, common_text, sizeof common_text - 1);
    if (!rc && spec->epilogue)
        rc = an_buffer_printf(out, "\n");
    return !rc && spec->epilogue ? add_text(out, spec->epilogue) : rc;
}

static int add_version(an_buffer *out, const an_options *spec)
{
    return an_version_add(out, spec->program);
}

static int print(int (*add)(an_buffer *, const an_options *), const an_options *spec)
{
    an_buffer text = {0};
    int rc = add(&text, spec);
    if (!rc && fwrite(text.data, 1, text.size, stdout) != text.size)
        rc = an_error(AN_EIO, "cannot write to standard output");
    if (!rc && fflush(stdout))
        rc = an_error(AN_EIO, "cannot write to standard output");
    an_buffer_free(&text);
    return rc ? rc : AN_END;
}

int an_options_print_help(const an_options *spec)
{
    return print(add_help, spec);
}

int an_options_print_usage(const an_options *spec)
{
    return print(add_usage, spec);
}

int an_options_print_version(const an_options *spec)
{
    return print(add_version, spec);
}
