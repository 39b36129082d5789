/* The classes of a source. The label of a class is its position; id is what the source calls it; name is for people. */
#ifndef AN_INGEST_SOURCES_LABELS_CLASSES_H
#define AN_INGEST_SOURCES_LABELS_CLASSES_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    char *id, *name; /* name may be NULL */
} an_class_entry;

typedef struct {
    an_class_entry *entries;
    uint32_t *sorted; /* positions of entries, in bytewise order of their ids */
    uint32_t count, capacity;
} an_classes;

void an_classes_free(an_classes *classes);
int an_classes_add(an_classes *classes, const char *id,
                   const char *name); /* copies; name may be NULL; AN_EINVAL if the id is there */
int an_classes_copy(an_classes *into, const an_classes *from);

/* Sort them by id, bytewise. map[old label] = new label. */
int an_classes_sort(an_classes *classes, uint32_t *map);

/* Replace the classes that were met while listing a source by the final ones. These are the given classes (an id that
 * is not among them is AN_EINVAL), or, if given is NULL, the same ids in bytewise order. numbers: an id may also be the
 * number of a given class; without given classes, if all ids are numbers, the classes are 0 to the highest. map[old
 * label] = new label; the caller provides room for classes->count. On failure classes keeps what it held. */
int an_classes_resolve(an_classes *classes, const an_classes *given, bool numbers, uint32_t *map);

/* *label: of the class with this id. AN_ENOTFOUND, without a message, if there is none. */
int an_classes_find(const an_classes *classes, const char *id, uint32_t *label);

/* Ids and names, one a line: "id TAB name" or "id name with spaces". Empty lines and '#' comments are skipped. */
int an_classes_read(an_classes *classes, const char *path);

/* The classes of a dataset (if path is a folder), or of a file as above, in their order. */
int an_classes_from(an_classes *classes, const char *path);

/* Give classes the names that names has for their ids. *named: how many got one. */
int an_classes_name(an_classes *classes, const an_classes *names, uint32_t *named);

#endif
