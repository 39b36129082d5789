#include "base/program/version.h"

#include <string.h>

#include "base/error.h"
#include "base/version.h"

static const char *declared_commit;
static an_version_libraries *const *declared_libraries;

void an_version_declare(const char *commit, an_version_libraries *const *libraries)
{
    declared_commit = commit;
    declared_libraries = libraries;
}

const char *an_version_commit(void)
{
    return declared_commit && strcmp(declared_commit, "unknown") != 0 ? declared_commit : NULL;
}

int an_version_add(an_buffer *out, const char *program)
{
    int rc = an_buffer_printf(out, "%.*s %s", (int)strcspn(program, " "), program, AN_VERSION);
    if (!rc && declared_commit)
        rc = an_buffer_printf(out, " (commit %s)", declared_commit);
    if (!rc)
        rc = an_buffer_printf(out, "\n");
    for (int i = 0; !rc && declared_libraries && declared_libraries[i]; i++)
        rc = declared_libraries[i](out);
    return rc;
}
