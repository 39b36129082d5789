/* Labels that are kept apart from the images, in a text file or in the ImageNet development kit. */
#ifndef AN_INGEST_SOURCES_LABELS_TRUTH_PRIVATE_H
#define AN_INGEST_SOURCES_LABELS_TRUTH_PRIVATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buffer.h"
#include "ingest/sources/labels/classes.h"

typedef struct {
    uint64_t name, label; /* positions in texts; label is a class id or a label number */
    uint32_t line;        /* of the file */
    bool used;            /* an image was given this label by its name */
} an_truth_entry;

typedef struct {
    /* Sorted by the last parts of their names, then by the whole; if not named: the i-th is for the i-th image in the
     * order of names. */
    an_truth_entry *entries;
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
/* name: "" if there is none. line: where it stands. */
int an_truth_add(an_truth *truth, const char *name, const char *label, uint32_t line);
const char *an_truth_label(const an_truth *truth, const an_truth_entry *entry);

/* Labels without image names must be as many as the images; AN_ECORRUPT otherwise. */
int an_truth_check_count(const an_truth *truth, const char *path, uint64_t images);

/* *entry: the label of the image called name, which is the position-th image in the order of names. The folders in the
 * name tell images with equal file names apart; where only one line has the file name, they do not matter. Call it once
 * for each image: AN_ECORRUPT if there is none, or if one line would be the label of two. */
int an_truth_find(an_truth *truth, const char *name, uint64_t position, const an_truth_entry **entry);

#endif
