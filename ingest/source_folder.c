/* A folder tree: each folder at the top is a class, every file below it (at any depth) an image of that class. Hidden
 * files and folders are passed over, files beside the class folders too. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "ingest/sources.h"

#define DEPTH_MAX 64 /* symbolic links may go in circles */

typedef struct {
    an_listing *listing;
    const char *root;
} walk;

static int visible(const struct dirent *found)
{
    return found->d_name[0] != '.';
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int visit(walk *w, const char *name, uint32_t label, int depth);

/* name is relative to the root; "" is the root itself. enter is called for each visible member, in order of names. */
static int each_member(walk *w, const char *name, int (*enter)(walk *w, const char *name, uint32_t label, int depth),
                       uint32_t label, int depth)
{
    an_buffer path = {0};
    struct dirent **found = NULL;
    int error = an_buffer_printf(&path, "%s/%s", w->root, name), count = 0;
    if (!error && (count = scandir((char *)path.data, &found, visible, by_name)) < 0)
        error = an_error_errno(errno, "cannot read folder '%s'", (char *)path.data);
    for (int i = 0; i < count; i++) {
        path.size = 0;
        if (!error)
            error = an_buffer_printf(&path, "%s%s%s", name, *name ? "/" : "", found[i]->d_name);
        if (!error)
            error = enter(w, (char *)path.data, label, depth);
        free(found[i]);
    }
    free(found);
    an_buffer_free(&path);
    return error;
}

/* A file that cannot even be looked at is listed all the same: reading it will say why, and it is then set aside. */
static int look_at(walk *w, const char *name, struct stat *status)
{
    an_buffer path = {0};
    int error = an_buffer_printf(&path, "%s/%s", w->root, name);
    if (!error && stat((char *)path.data, status))
        memset(status, 0, sizeof(*status));
    an_buffer_free(&path);
    return error;
}

static int visit(walk *w, const char *name, uint32_t label, int depth)
{
    struct stat status;
    int error = look_at(w, name, &status);
    if (error)
        return error;
    if (!S_ISDIR(status.st_mode))
        return an_listing_add(w->listing, name, label, AN_LISTING_OWN_FILE, 0, (uint64_t)status.st_size);
    if (depth == DEPTH_MAX)
        return an_error(AN_EUNSUPPORTED, "'%s/%s' is nested too deeply: a symbolic link that goes in circles?", w->root,
                        name);
    return each_member(w, name, visit, label, depth + 1);
}

static int visit_class(walk *w, const char *name, uint32_t label, int depth)
{
    struct stat status;
    int error = look_at(w, name, &status);
    if (error || !S_ISDIR(status.st_mode))
        return error;
    error = an_listing_class(w->listing, name, &label);
    return error ? error : each_member(w, name, visit, label, depth);
}

static int fill(walk *w, const an_source_options *options)
{
    int error = each_member(w, "", visit_class, 0, 1);
    if (!error && !an_listing_source(w->listing)->classes.count)
        error = an_error(AN_ECORRUPT,
                         "no class folders in '%s': expected one folder for each class, with its images inside",
                         options->path);
    if (!error && (error = an_listing_resolve_classes(w->listing, options->classes, false)))
        an_error_prefix(error, "'%s'", options->path);
    return error ? error : an_listing_seal(w->listing, options, 0);
}

int an_source_folder_open(an_source **out, const an_source_options *options)
{
    walk w = {.root = options->path};
    int error = an_listing_create(&w.listing, "folder", options->path);
    if (error)
        return error;
    error = fill(&w, options);
    if (error)
        an_source_free(an_listing_source(w.listing));
    else
        *out = an_listing_source(w.listing);
    return error;
}
