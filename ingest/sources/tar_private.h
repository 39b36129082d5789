/* Shared by tar.c, which makes a source of tars, tar_samples.c, which finds a webdataset's samples in them, and
 * tar_labels.c, which takes labels from elsewhere. */
#ifndef AN_INGEST_SOURCES_TAR_PRIVATE_H
#define AN_INGEST_SOURCES_TAR_PRIVATE_H

#include <stdbool.h>

#include "ingest/sources/archive/members_private.h"
#include "ingest/sources/labels/truth_private.h"
#include "ingest/sources/listing_private.h"

typedef struct {
    const an_source_options *options;
    an_listing *listing;
    an_members members;
    an_truth truth;
    bool numbers; /* a class may be a number: not where it is the name of a folder */
} an_tar_source;

const char *an_tar_name(const an_tar_source *s, uint64_t i); /* path of the i-th member */

/* Is it an input: a file, or one that would be a file but cannot be read? */
bool an_tar_is_input(const an_member *member);

/* Add the i-th member to the listing: with its class or, if it cannot be read, refused. */
int an_tar_add(an_tar_source *s, uint64_t i, const char *class_id);
int an_tar_refuse(an_tar_source *s, uint64_t i, const char *reason);

/* Add the samples of a webdataset. */
int an_tar_add_samples(an_tar_source *s);

/* Add all files with the labels of s->truth. */
int an_tar_add_by_truth(an_tar_source *s);

/* Do all files lie in one folder that is no class of the devkit? Then validation images were packed with their folder.
 */
int an_tar_is_flat_within(const an_tar_source *s, bool *flat);

#endif
