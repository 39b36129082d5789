/* Labels that are kept apart from the images, in a text file or in the ImageNet development kit. */
#ifndef AN_INGEST_SOURCES_LABELS_TRUTH_PRIVATE_H
#define AN_INGEST_SOURCES_LABELS_TRUTH_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "ingest/sources/labels/classes.h"

typedef struct {
    uint64_t name, label; /* positions in texts; label is a class id or a label number */
} an_truth_entry;

typedef struct {
    an_truth_entry *entries; /* sorted by name; if not named: the i-th is for the i-th image in the order of names */
    uint64_t count, capacity;
    bool named;
    an_buffer texts;
    an_classes classes; /* of a devkit: its 1000 classes with names, sorted by id; otherwise empty */
} an_truth;

/* labels: a file of "image name, tab, class" lines, or of one class a line, for the images in the order of their names.
 * A class is an id or a number; with synsets (a list of ids) numbers count its lines from 1, as ILSVRC's ground truth
 * does. */
int an_truth_read(an_truth *truth, const char *labels, const char *synsets);

/* ILSVRC2012_devkit_t12.tar.gz: meta.mat and the validation ground truth inside. */
int an_truth_read_devkit(an_truth *truth, const char *path);

/* Read what the user gave, labels or devkit (labels if both). If neither, truth stays empty, with a count of 0. */
int an_truth_open(an_truth *truth, const char *labels, const char *synsets, const char *devkit);

void an_truth_free(an_truth *truth);
int an_truth_add(an_truth *truth, const char *name, const char *label); /* name: "" if there is none */

/* Labels without image names must be as many as the images; AN_EINVAL otherwise. */
int an_truth_check_count(const an_truth *truth, const char *path, uint64_t images);

/* *label: class of the image called name (folders in it are ignored), which is the position-th image in the order of
 * names. AN_ENOTFOUND, with a message, if there is none. */
int an_truth_find(const an_truth *truth, const char *name, uint64_t position, const char **label);

#endif
