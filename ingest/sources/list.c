/* A list file: one image a line, "path TAB class". Paths are relative to the list's folder; a class is an id or a
 * number. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "ingest/sources/archive/note.h"
#include "ingest/sources/labels/lines_private.h"
#include "ingest/sources/labels/paths_private.h"
#include "ingest/sources/listing_private.h"
#include "ingest/sources/source_private.h"

typedef struct {
    an_listing *listing;
    const char *root;
    an_paths paths;
    an_buffer path, plain;
    uint64_t comments; /* lines that look like one, as they begin with "#" and name no file */
} reading;

/* The size of the file that a line names; 0 for a missing one: loading it will fail, and it is then set aside. */
static int look_at(reading *r, const char *name, bool *exists, uint64_t *size)
{
    struct stat status;
    r->path.size = 0;
    int rc = *name == '/' ? an_buffer_printf(&r->path, "%s", name) : an_buffer_printf(&r->path, "%s/%s", r->root, name);
    *exists = !rc && stat((char *)r->path.data, &status) == 0;
    *size = *exists ? (uint64_t)status.st_size : 0;
    return rc;
}

/* Put name into plain, without parts that are empty or ".", so that every way to write a path is the same text. */
static int spell_plainly(an_buffer *plain, const char *name)
{
    int rc = AN_OK;
    plain->size = 0;
    if (*name == '/')
        rc = an_buffer_append(plain, "/", 1);
    while (*name && !rc) {
        size_t length = strcspn(name, "/");
        if (length && !(length == 1 && *name == '.'))
            rc = an_buffer_append(plain, name, length + (name[length] == '/'));
        name += length + (name[length] == '/');
    }
    return rc ? rc : an_buffer_append(plain, "", 1);
}

/* A path that several lines name must have one class. */
static int check_path(reading *r, const char *name, uint32_t label, uint32_t number)
{
    const an_path_class *known;
    int rc = spell_plainly(&r->plain, name);
    if (!rc)
        rc = an_paths_add(&r->paths, (const char *)r->plain.data, label, number, &known);
    if (rc || known->label == label)
        return rc;
    const an_class_entry *classes = an_listing_source(r->listing)->classes.entries;
    return an_error(AN_ECORRUPT, "'%.200s' is of class '%.100s', but line %u says '%.100s'", name, classes[label].id,
                    known->line, classes[known->label].id);
}

static int add_line(reading *r, char *line, uint32_t number)
{
    uint32_t label;
    uint64_t size;
    bool exists, ambiguous = an_line_is_ambiguous(line);
    const char *class_id = an_line_cut_last(line);
    int rc = look_at(r, line, &exists, &size);
    if (rc)
        return rc;
    if (!exists && *line == '#') { /* such a line is a comment, unless there is such a file */
        r->comments++;
        return AN_OK;
    }
    if (!*class_id)
        return an_error(AN_ECORRUPT, "'%.200s' has no class: expected image path, tab, class", line);
    if (!exists && ambiguous)
        return an_error(AN_ECORRUPT,
                        "no file '%.200s', but the line has several tabs or blanks: expected image path, "
                        "tab, class",
                        line);
    rc = an_listing_class_at(r->listing, class_id, number, &label);
    if (!rc)
        rc = check_path(r, line, label, number);
    return rc ? rc : an_listing_add(r->listing, line, label, AN_LISTING_OWN_FILE, 0, size);
}

static int read_lines(reading *r, const char *path)
{
    an_lines lines;
    char *line;
    int rc = an_lines_read(&lines, path);
    lines.paths = true;
    while (!rc && an_lines_next(&lines, &line)) {
        rc = add_line(r, line, lines.number);
        if (rc)
            an_error_prefix(rc, "'%s': line %u", path, lines.number);
    }
    an_lines_free(&lines);
    if (!rc && r->comments)
        rc = an_note(&an_listing_source(r->listing)->notes,
                     "'%s': %llu lines that begin with '#' name no file: they are taken for comments", path,
                     (unsigned long long)r->comments);
    return rc;
}

static int fill(an_listing *listing, const an_source_options *options, const char *root)
{
    reading r = {.listing = listing, .root = root};
    int rc = read_lines(&r, options->path);
    an_paths_free(&r.paths);
    an_buffer_free(&r.path);
    an_buffer_free(&r.plain);
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
