/* A folder. Each folder in it is a class; every file below that, at any depth, is an image of the class. Hidden files
 * and folders are ignored, and so are files beside the class folders. A folder without class folders can be used too,
 * if
 * --labels or --devkit gives the labels. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "ingest/sources/labels/truth_private.h"
#include "ingest/sources/listing_private.h"
#include "ingest/sources/source_private.h"

#define DEPTH_MAX 64 /* ends the walk if symbolic links form a circle */

typedef struct {
    an_listing *listing;
    const char *root;
    an_truth truth;  /* labels, if there are no class folders */
    uint64_t images; /* seen so far, if there are no class folders */
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

/* Call enter for each visible entry of the folder, in the order of names. name is relative to the root; "" is the root.
 */
static int each_member(walk *w, const char *name, int (*enter)(walk *w, const char *name, uint32_t label, int depth),
                       uint32_t label, int depth)
{
    an_buffer path = {0};
    struct dirent **found = NULL;
    int rc = an_buffer_printf(&path, "%s/%s", w->root, name), count = 0;
    if (!rc && (count = scandir((char *)path.data, &found, visible, by_name)) < 0)
        rc = an_error_errno(errno, "cannot read folder '%s'", (char *)path.data);
    for (int i = 0; i < count; i++) {
        path.size = 0;
        if (!rc)
            rc = an_buffer_printf(&path, "%s%s%s", name, *name ? "/" : "", found[i]->d_name);
        if (!rc)
            rc = enter(w, (char *)path.data, label, depth);
        free(found[i]);
    }
    free(found);
    an_buffer_free(&path);
    return rc;
}

/* stat a file. One that cannot be examined is listed all the same, with a size of 0: loading it will say why. */
static int look_at(walk *w, const char *name, struct stat *status)
{
    an_buffer path = {0};
    int rc = an_buffer_printf(&path, "%s/%s", w->root, name);
    if (!rc && stat((char *)path.data, status))
        memset(status, 0, sizeof(*status));
    an_buffer_free(&path);
    return rc;
}

static int visit(walk *w, const char *name, uint32_t label, int depth)
{
    struct stat status;
    int rc = look_at(w, name, &status);
    if (rc)
        return rc;
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
    int rc = look_at(w, name, &status);
    if (rc || !S_ISDIR(status.st_mode))
        return rc;
    rc = an_listing_class(w->listing, name, &label);
    return rc ? rc : each_member(w, name, visit, label, depth);
}

/* Add an image of a folder without class folders; its label comes from --labels or --devkit. */
static int visit_flat(walk *w, const char *name, uint32_t label, int depth)
{
    struct stat status;
    const char *class_id;
    int rc = look_at(w, name, &status);
    (void)depth;
    if (rc || S_ISDIR(status.st_mode))
        return rc;
    rc = an_truth_find(&w->truth, name, w->images++, &class_id);
    if (!rc)
        rc = an_listing_class(w->listing, class_id, &label);
    return rc ? rc : an_listing_add(w->listing, name, label, AN_LISTING_OWN_FILE, 0, (uint64_t)status.st_size);
}

static int add_flat(walk *w)
{
    int rc = each_member(w, "", visit_flat, 0, 1);
    return rc ? rc : an_truth_check_count(&w->truth, w->root, w->images);
}

static int fill(walk *w, const an_source_options *options)
{
    const an_classes *classes = &an_listing_source(w->listing)->classes, *given = options->classes;
    int rc = each_member(w, "", visit_class, 0, 1);
    if (!rc)
        rc = an_truth_open(&w->truth, options->labels, options->synsets, options->devkit);
    if (!rc && !classes->count && w->truth.count)
        rc = add_flat(w);
    if (!rc && !classes->count)
        rc =
            an_error(AN_ECORRUPT,
                     "no class folders in '%s': expected one folder for each class, with its images inside (the labels "
                     "of a flat folder come from --labels or --devkit)",
                     options->path);
    if (!given && w->truth.classes.count)
        given = &w->truth.classes;
    if (!rc) {
        rc = an_listing_resolve_classes(w->listing, given, w->images > 0);
        if (rc)
            an_error_prefix(rc, "'%s'", options->path);
    }
    return rc ? rc : an_listing_seal(w->listing, options, 0);
}

static int open_folder(an_source **out, const an_source_options *options)
{
    walk w = {.root = options->path};
    int rc = an_listing_create(&w.listing, "folder", options->path);
    if (rc)
        return rc;
    rc = fill(&w, options);
    an_truth_free(&w.truth);
    if (rc)
        an_source_free(an_listing_source(w.listing));
    else
        *out = an_listing_source(w.listing);
    return rc;
}

static bool matches(const an_source_probe *found)
{
    return found->folder;
}

const an_source_kind an_source_folder = {
    .name = "folder",
    .description = "one folder for each class; a flat one with --labels or --devkit",
    .matches = matches,
    .open = open_folder,
};
