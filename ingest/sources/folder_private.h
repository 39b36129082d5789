/* Shared by folder.c, which takes classes from folders, folder_labels.c, which takes labels from elsewhere, and
 * folder_walk.c. */
#ifndef AN_INGEST_SOURCES_FOLDER_PRIVATE_H
#define AN_INGEST_SOURCES_FOLDER_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

#include "ingest/sources/archive/place.h"
#include "ingest/sources/labels/truth_private.h"
#include "ingest/sources/listing_private.h"

#define AN_FOLDER_DEPTH_MAX 64

typedef struct {
    dev_t device;
    ino_t inode;
} an_folder_id;

typedef struct an_folder_walk {
    an_listing *listing;
    const an_source_options *options;
    const char *root;
    an_folder_id open[AN_FOLDER_DEPTH_MAX]; /* the folders on the way from the root */
    bool beside, deeper;                    /* seen: images beside the class folders, folders inside them */
    an_place_left_out left_out;
    /* Labels from elsewhere: */
    an_truth truth;
    an_buffer files, names; /* those found; their names */
    uint32_t folders;       /* in the root, and the last of them */
    an_buffer last_folder;
} an_folder_walk;

typedef int (*an_folder_visit)(an_folder_walk *w, const char *name, uint32_t label, int depth);

/* Call visit for each entry of the folder that is not left out, in the order of names. name is relative to the root; ""
 * is the root. */
int an_folder_each(an_folder_walk *w, const char *name, an_folder_visit visit, uint32_t label, int depth);

/* stat a file. One that cannot be examined is listed all the same, with a size of 0: loading it will say why. */
int an_folder_look_at(an_folder_walk *w, const char *name, struct stat *status);

/* Is the folder left out: do systems make it for themselves, or does it hold a dataset? */
int an_folder_check(an_folder_walk *w, const char *name, bool *left_out);

/* Note that the folder is being walked at this depth. It must be none of those on the way to it. */
int an_folder_enter(an_folder_walk *w, const char *name, const struct stat *status, int depth);

/* Read --labels or --devkit. *flat: the images' labels come from there, whatever folders they lie in. */
int an_folder_open_truth(an_folder_walk *w, bool *flat);

/* Add all images with those labels. */
int an_folder_add_flat(an_folder_walk *w);

#endif
