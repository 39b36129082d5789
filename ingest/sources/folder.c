/* A folder. Each folder in it is a class; every file below that, at any depth, is an image of the class. Left out are
 * hidden files and folders, folders that systems make, and datasets (archive/place.h). Files beside the class folders
 * are ignored, but images there are set aside. A folder without class folders can be used too, if --labels or --devkit
 * gives the labels. */
#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "ingest/sources/archive/note.h"
#include "ingest/sources/archive/place.h"
#include "ingest/sources/labels/truth_private.h"
#include "ingest/sources/listing_private.h"
#include "ingest/sources/source_private.h"

#define DEPTH_MAX 64

typedef struct {
    dev_t device;
    ino_t inode;
} folder_id;

typedef struct {
    an_listing *listing;
    const char *root;
    an_truth truth;            /* labels, if there are no class folders */
    uint64_t images;           /* seen so far, if there are no class folders */
    folder_id open[DEPTH_MAX]; /* the folders on the way from the root */
    bool beside, deeper;       /* seen: images beside the class folders, folders inside them */
    an_place_left_out left_out;
} walk;

static int every(const struct dirent *found)
{
    return strcmp(found->d_name, ".") != 0 && strcmp(found->d_name, "..") != 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

/* Call enter for each entry of the folder, in the order of names. name is relative to the root; "" is the root. */
static int each_member(walk *w, const char *name, int (*enter)(walk *w, const char *name, uint32_t label, int depth),
                       uint32_t label, int depth)
{
    an_buffer path = {0};
    struct dirent **found = NULL;
    int rc = an_buffer_printf(&path, "%s/%s", w->root, name), count = 0;
    if (!rc && (count = scandir((char *)path.data, &found, every, by_name)) < 0)
        rc = an_error_errno(errno, "cannot read folder '%s'", (char *)path.data);
    for (int i = 0; i < count; i++) {
        path.size = 0;
        if (!rc)
            rc = an_buffer_printf(&path, "%s%s%s", name, *name ? "/" : "", found[i]->d_name);
        if (!rc && !an_place_is_left_out((char *)path.data, &w->left_out))
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

/* Is the folder left out: do systems make it for themselves, or does it hold a dataset? */
static int check_folder(walk *w, const char *name, bool *left_out)
{
    an_buffer path = {0};
    const char *slash = strrchr(name, '/');
    *left_out = an_place_is_system(slash ? slash + 1 : name, &w->left_out);
    int rc = *left_out ? AN_OK : an_buffer_printf(&path, "%s/%s/data.mdb", w->root, name);
    if (!rc && !*left_out && access((char *)path.data, F_OK) == 0) {
        *left_out = true;
        an_place_count_dataset(&w->left_out, name);
    }
    an_buffer_free(&path);
    return rc;
}

/* Note that the folder is being walked at this depth. It must be none of those on the way to it. */
static int open_folder_at(walk *w, const char *name, const struct stat *status, int depth)
{
    bool circle = depth == DEPTH_MAX;
    for (int i = 0; i < depth && !circle; i++)
        circle = w->open[i].inode == status->st_ino && w->open[i].device == status->st_dev;
    if (circle)
        return an_error(AN_EUNSUPPORTED, "'%s/%s' is nested too deeply: a symbolic link that goes in circles?", w->root,
                        name);
    w->open[depth] = (folder_id){status->st_dev, status->st_ino};
    return AN_OK;
}

static int visit(walk *w, const char *name, uint32_t label, int depth)
{
    struct stat status;
    bool left_out;
    int rc = look_at(w, name, &status);
    if (rc)
        return rc;
    if (!S_ISDIR(status.st_mode))
        return an_listing_add(w->listing, name, label, AN_LISTING_OWN_FILE, 0, (uint64_t)status.st_size);
    rc = check_folder(w, name, &left_out);
    if (rc || left_out)
        return rc;
    w->deeper = true;
    rc = open_folder_at(w, name, &status, depth);
    return rc ? rc : each_member(w, name, visit, label, depth + 1);
}

static int visit_class(walk *w, const char *name, uint32_t label, int depth)
{
    struct stat status;
    bool left_out;
    int rc = look_at(w, name, &status);
    if (!rc && !S_ISDIR(status.st_mode))
        w->beside |= an_place_is_image(name) || !status.st_mode;
    if (rc || !S_ISDIR(status.st_mode))
        return rc;
    rc = check_folder(w, name, &left_out);
    if (rc || left_out)
        return rc;
    rc = open_folder_at(w, name, &status, depth);
    if (!rc)
        rc = an_listing_class(w->listing, name, &label);
    return rc ? rc : each_member(w, name, visit, label, depth + 1);
}

/* Set aside an image beside the class folders, or what cannot be examined there: it may have stood for a class. */
static int visit_beside(walk *w, const char *name, uint32_t label, int depth)
{
    struct stat status;
    (void)label, (void)depth;
    int rc = look_at(w, name, &status);
    if (!rc && !status.st_mode)
        return an_listing_refuse(w->listing, name, 0, "it cannot be examined: a link that leads nowhere?");
    if (rc || S_ISDIR(status.st_mode) || !an_place_is_image(name))
        return rc;
    return an_listing_refuse(w->listing, name, (uint64_t)status.st_size, AN_PLACE_BESIDE);
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

static int add_classes(walk *w)
{
    struct stat status;
    int rc = look_at(w, "", &status);
    if (!rc)
        rc = open_folder_at(w, "", &status, 0);
    if (!rc)
        rc = each_member(w, "", visit_class, 0, 1);
    /* The first pass counted what is left out: the second one looks at the same entries of the root again. */
    an_place_left_out left_out = w->left_out;
    if (!rc && w->beside && an_listing_source(w->listing)->classes.count)
        rc = each_member(w, "", visit_beside, 0, 1);
    w->left_out = left_out;
    return rc;
}

/* A folder too many is easily given: then all images have one class. */
static int note(walk *w)
{
    an_source *source = an_listing_source(w->listing);
    int rc = an_place_describe(&w->left_out, &source->notes);
    if (!rc && source->classes.count == 1 && w->deeper)
        rc = an_note(&source->notes,
                     "all images are of one class, '%s': if the folders in it are the classes, give '%s/%s' as "
                     "SOURCE",
                     source->classes.entries[0].id, w->root, source->classes.entries[0].id);
    return rc;
}

static int fill(walk *w, const an_source_options *options)
{
    const an_classes *classes = &an_listing_source(w->listing)->classes, *given = options->classes;
    int rc = add_classes(w);
    if (!rc)
        rc = note(w);
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
