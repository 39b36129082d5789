/* Temporary files. Those without a name lie in TMPDIR or else /tmp and vanish when they are closed, also if the process
 * is killed. Those with a name become another file by rename(2); a killed process leaves them. Names are random and
 * files are created anew, never opened: whoever may write the folder too cannot have put anything there before. The
 * caller closes fd. Failures come as an_error_errno maps them. Any thread may call these functions. */
#ifndef AN_BASE_TEMPORARY_H
#define AN_BASE_TEMPORARY_H

#include <stdbool.h>
#include <stddef.h>

/* Characters of what is appended to a name: ".tmp-" and 16 hexadecimal digits. */
#define AN_TEMPORARY_SUFFIX_SIZE ((size_t)21)

int an_temporary_open(int *fd);

/* A new file "<path>.tmp-0123456789abcdef", for writing. The caller frees *name. */
int an_temporary_create(int *fd, char **name, const char *path);

/* Is name exactly one that an_temporary_create makes for some path? *path_size: the length of that path. */
bool an_temporary_is_name(const char *name, size_t *path_size);

/* *out: the name that a file which is written shall have, which the caller frees: where path leads if it is a symbolic
 * link to something, else path itself. Whoever opens it does so with O_NOFOLLOW. A link that the user has made is
 * followed. One that somebody else has put into a folder that others may write, /tmp for instance, is AN_EINVAL: it
 * would make the program overwrite a file of that person's choice. */
int an_temporary_target(char **out, const char *path);

/* Write all bytes at the file's position. */
int an_temporary_write(int fd, const void *data, size_t size);

#endif
