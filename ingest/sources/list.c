/* A list file: one image a line, "path TAB class". Paths are relative to the list's folder; a class is an id or a
 * number. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "ingest/sources/labels/lines_private.h"
#include "ingest/sources/listing_private.h"
#include "ingest/sources/source_private.h"

static uint64_t size_of(const char *root, const char *name)
{
    struct stat status;
    an_buffer path = {0};
    uint64_t size = 0;
    int rc = *name == '/' ? an_buffer_printf(&path, "%s", name) : an_buffer_printf(&path, "%s/%s", root, name);
    if (!rc && stat((char *)path.data, &status) == 0)
        size = (uint64_t)status.st_size;
    an_buffer_free(&path);
    return size; /* 0 for a missing file: loading it will fail, and it is then set aside */
}

static int add_line(an_listing *listing, const char *root, char *line)
{
    uint32_t label;
    const char *class_id = an_line_cut_last(line);
    if (!*class_id)
        return an_error(AN_EINVAL, "'%.200s' has no class: expected image path, tab, class", line);
    int rc = an_listing_class(listing, class_id, &label);
    return rc ? rc : an_listing_add(listing, line, label, AN_LISTING_OWN_FILE, 0, size_of(root, line));
}

static int fill(an_listing *listing, const an_source_options *options, const char *root)
{
    an_lines lines;
    char *line;
    int rc = an_lines_read(&lines, options->path);
    while (!rc && an_lines_next(&lines, &line)) {
        rc = add_line(listing, root, line);
        if (rc)
            an_error_prefix(rc, "'%s', line %u", options->path, lines.number);
    }
    an_lines_free(&lines);
    if (!rc) {
        rc = an_listing_resolve_classes(listing, options->classes, true);
        if (rc)
            an_error_prefix(rc, "'%s'", options->path);
    }
    return rc ? rc : an_listing_seal(listing, options, 0);
}

static int open_list(an_source **out, const an_source_options *options)
{
    const char *slash = strrchr(options->path, '/');
    char *root =
        slash ? strndup(options->path, (size_t)(slash - options->path) + (slash == options->path)) : strdup(".");
    an_listing *listing = NULL;
    int rc = root ? an_listing_create(&listing, "list", root) : an_error(AN_ENOMEM, "out of memory");
    if (!rc)
        rc = fill(listing, options, root);
    free(root);
    if (!rc)
        *out = an_listing_source(listing);
    else if (listing)
        an_source_free(an_listing_source(listing));
    return rc;
}

static bool matches(const an_source_probe *found)
{
    for (size_t i = 0; i < found->head_size; i++)
        if (found->head[i] < ' ' && !strchr("\t\r\n", found->head[i]))
            return false;
    return found->head_size > 0 && memchr(found->head, '\n', found->head_size);
}

const an_source_kind an_source_list = {
    .name = "list",
    .description = "a text file with lines of image path, tab, class",
    .matches = matches,
    .open = open_list,
};
