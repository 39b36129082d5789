/* What --version prints: the program, its version and commit, then the libraries that it uses, one a line.
 *
 *     an-train 0.1.0 (commit 0123456789ab)
 *     LMDB 0.9.24
 *
 * The text depends on nothing but the build and the libraries found at run time. For the main thread. */
#ifndef AN_BASE_PROGRAM_VERSION_H
#define AN_BASE_PROGRAM_VERSION_H

#include "base/buffer.h"

/* Appends "name version\n" for each library of a room. */
typedef int an_version_libraries(an_buffer *out);

/* Says what an_version_add adds to the version; to be called first in main. Both must stay valid; libraries ends with
 * NULL. Without this call, the version stands alone. */
void an_version_declare(const char *commit, an_version_libraries *const *libraries);

/* The commit that was declared; NULL if none was, or if the build did not know it. */
const char *an_version_commit(void);

/* program: its name, a subcommand after a blank is left out. */
int an_version_add(an_buffer *out, const char *program);

#endif
