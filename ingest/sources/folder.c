/* A folder. Each folder in it is a class; every file below that, at any depth, is an image of the class. Left out are
 * hidden files and folders, folders that systems make, and datasets (archive/place.h). Files beside the class folders
 * are ignored, but images there are set aside. With --labels, and with --devkit where there are no class folders,
 * labels come from there (folder_labels.c). */
#include "base/error.h"
#include "ingest/sources/archive/note.h"
#include "ingest/sources/folder_private.h"
#include "ingest/sources/source_private.h"

static int visit(an_folder_walk *w, const char *name, uint32_t label, int depth)
{
    struct stat status;
    bool left_out;
    int rc = an_folder_look_at(w, name, &status);
    if (rc)
        return rc;
    if (!S_ISDIR(status.st_mode))
        return an_listing_add(w->listing, name, label, AN_LISTING_OWN_FILE, 0, (uint64_t)status.st_size);
    rc = an_folder_check(w, name, &left_out);
    if (rc || left_out)
        return rc;
    w->deeper = true;
    rc = an_folder_enter(w, name, &status, depth);
    return rc ? rc : an_folder_each(w, name, visit, label, depth + 1);
}

static int visit_class(an_folder_walk *w, const char *name, uint32_t label, int depth)
{
    struct stat status;
    bool left_out;
    int rc = an_folder_look_at(w, name, &status);
    if (!rc && !S_ISDIR(status.st_mode))
        w->beside |= an_place_is_image(name) || !status.st_mode;
    if (rc || !S_ISDIR(status.st_mode))
        return rc;
    rc = an_folder_check(w, name, &left_out);
    if (rc || left_out)
        return rc;
    rc = an_folder_enter(w, name, &status, depth);
    if (!rc)
        rc = an_listing_class(w->listing, name, &label);
    return rc ? rc : an_folder_each(w, name, visit, label, depth + 1);
}

/* Set aside an image beside the class folders, or what cannot be examined there: it may have stood for a class. */
static int visit_beside(an_folder_walk *w, const char *name, uint32_t label, int depth)
{
    struct stat status;
    (void)label, (void)depth;
    int rc = an_folder_look_at(w, name, &status);
    if (!rc && !status.st_mode)
        return an_listing_refuse(w->listing, name, 0, "it cannot be examined: a link that leads nowhere?");
    if (rc || S_ISDIR(status.st_mode) || !an_place_is_image(name))
        return rc;
    return an_listing_refuse(w->listing, name, (uint64_t)status.st_size, AN_PLACE_BESIDE);
}

static int add_classes(an_folder_walk *w)
{
    struct stat status;
    int rc = an_folder_look_at(w, "", &status);
    if (!rc)
        rc = an_folder_enter(w, "", &status, 0);
    if (!rc)
        rc = an_folder_each(w, "", visit_class, 0, 1);
    /* The first pass counted what is left out: the second one looks at the same entries of the root again. */
    an_place_left_out left_out = w->left_out;
    if (!rc && w->beside && an_listing_source(w->listing)->classes.count)
        rc = an_folder_each(w, "", visit_beside, 0, 1);
    w->left_out = left_out;
    return rc;
}

/* A folder too many is easily given: then all images have one class. */
static int note(an_folder_walk *w)
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

static int add_images(an_folder_walk *w, const an_source_options *options, bool flat)
{
    const an_classes *classes = &an_listing_source(w->listing)->classes;
    int rc = flat ? an_folder_add_flat(w) : add_classes(w);
    if (!rc)
        rc = note(w);
    if (rc || classes->count)
        return rc;
    return an_error(AN_ECORRUPT,
                    "no class folders in '%s': expected one folder for each class, with its images inside (the labels "
                    "of a flat folder come from --labels or --devkit)",
                    options->path);
}

static int fill(an_folder_walk *w, const an_source_options *options)
{
    const an_classes *given = options->classes;
    bool flat;
    int rc = an_folder_open_truth(w, &flat);
    if (!rc)
        rc = add_images(w, options, flat);
    if (!given && w->truth.classes.count)
        given = &w->truth.classes;
    if (!rc) {
        rc = an_listing_resolve_classes(w->listing, given, flat);
        if (rc)
            an_error_prefix(rc, "'%s'", options->path);
    }
    return rc ? rc : an_listing_seal(w->listing, options, 0);
}

static int open_folder(an_source **out, const an_source_options *options)
{
    an_folder_walk w = {.root = options->path, .options = options};
    int rc = an_listing_create(&w.listing, "folder", options->path);
    if (rc)
        return rc;
    rc = fill(&w, options);
    an_truth_free(&w.truth);
    an_buffer_free(&w.files);
    an_buffer_free(&w.names);
    an_buffer_free(&w.last_folder);
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
    .labels = true,
    .devkit = true,
    .matches = matches,
    .open = open_folder,
};
