/* The images that a command was asked about, one after the other: files, image files below folders, or records of a
 * dataset. All come as square images of the side that crops are taken from. One thread uses it. */
#ifndef AN_TOOLS_SHOW_CONTENT_SUBJECTS_H
#define AN_TOOLS_SHOW_CONTENT_SUBJECTS_H

#include "tools/show/content/viewer.h"

typedef struct {
    char *name;
    int label;          /* true class; -1: unknown */
    uint64_t index;     /* record, or the number of the file */
    an_image image;     /* side x side */
    an_prediction said; /* the network's prediction, filled in by an_predict */
} an_subject;

void an_subject_free(an_subject *subject); /* zeroed is fine */

typedef struct an_subjects an_subjects;

/* paths: NULL-terminated, files and folders. A folder's name that is a class is the label of the files in it. */
int an_subjects_of_files(an_subjects **out, const an_viewer *viewer, char *const *paths);
/* The records listed as "3,17,9", or count evenly spaced ones if records is NULL. dataset must outlive it. */
int an_subjects_of_records(an_subjects **out, const an_viewer *viewer, const an_dataset *dataset, const char *records,
                           uint64_t count);
void an_subjects_free(an_subjects *subjects); /* NULL is fine */

uint64_t an_subjects_count(const an_subjects *subjects);

/* The next image, which the caller frees. AN_END after the last. AN_ECORRUPT or AN_EUNSUPPORTED, naming the image, if
 * it does not decode; the next call goes on with the image after it. */
int an_subjects_next(an_subjects *subjects, an_subject *out);

/* Decode a whole record; AN_ECORRUPT names it. */
int an_subject_record(const an_dataset *dataset, an_decoder *decoder, uint64_t index, an_image *out);

#endif
