/* The classes of a source. The label of a class is its position; id is what the source calls it; name is for people.
 * Adding and finding one takes the same time however many there are. Any thread may read what no other changes. */
#ifndef AN_INGEST_SOURCES_LABELS_CLASSES_H
#define AN_INGEST_SOURCES_LABELS_CLASSES_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    char *id, *name; /* name may be NULL */
    uint32_t line;   /* where it was first met, of the text file that the source reads; 0: nowhere in one */
} an_class_entry;

typedef struct {
    an_class_entry *entries;
    uint32_t *slots;      /* a hash table of ids: position of an entry plus 1, or 0 */
    uint32_t count, room; /* room: of slots, a power of two; entries has half of it */
} an_classes;

void an_classes_free(an_classes *classes);
int an_classes_add(an_classes *classes, const char *id,
                   const char *name); /* copies; name may be NULL; AN_ECORRUPT if the id is there */
int an_classes_copy(an_classes *into, const an_classes *from);

/* Sort them by id, bytewise. map[old label] = new label. */
int an_classes_sort(an_classes *classes, uint32_t *map);

/* A larger number in a list of labels is a mistake: classes are made for all numbers below it. */
#define AN_CLASSES_NUMBER_MAX 999999u

/* Replace the classes that were met while listing a source by the final ones. These are the given classes (an id that
 * is not among them is AN_ECORRUPT), or, if given is NULL, the same ids in bytewise order. numbers: an id may also be
 * the number of a given class; without given classes, if all ids are numbers, the classes are 0 to the highest, which
 * is at most AN_CLASSES_NUMBER_MAX, and a mixture of numbers and other ids is AN_ECORRUPT. map[old label] = new label;
 * the caller provides room for classes->count. On failure classes keeps what it held. */
int an_classes_resolve(an_classes *classes, const an_classes *given, bool numbers, uint32_t *map);

/* *label: of the class with this id. AN_ENOTFOUND, without a message, if there is none. */
int an_classes_find(const an_classes *classes, const char *id, uint32_t *label);

/* Ids and names, one a line: "id TAB name". Without a tab in a line: if known is NULL, it is an id alone, unless its
 * first word is a number or the id of a synset (n01440764), which a name may follow; else it is an id alone if that is
 * among known, and otherwise the first word is the id. */
int an_classes_read(an_classes *classes, const char *path, const an_classes *known);

/* The classes of a dataset (if path is a folder), or of a file as above, in their order. */
int an_classes_from(an_classes *classes, const char *path);

/* Give classes the names that names has for their ids. *named: how many got one. */
int an_classes_name(an_classes *classes, const an_classes *names, uint32_t *named);

#endif
