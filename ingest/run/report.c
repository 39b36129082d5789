#include "ingest/run/report_private.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "ingest/run/json.h"

static int write_line(void *context, const char *name, const char *reason, uint64_t bytes)
{
    json_t *object = json_pack("{so, so, sI}", "path", an_json_text(name), "reason", an_json_text(reason), "bytes",
                               (json_int_t)bytes);
    char *line = object ? json_dumps(object, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(object);
    if (!line)
        return an_error(AN_ENOMEM, "out of memory for the report");
    int rc = an_file_writer_write(context, line, strlen(line));
    if (!rc)
        rc = an_file_writer_write(context, "\n", 1);
    free(line);
    return rc;
}

/* All that an interrupted run listed there was mended. */
static int remove_report(an_buffer *path)
{
    path->size = 0;
    if (unlink((const char *)path->data) && errno != ENOENT)
        return an_error_errno(errno, "cannot remove '%s', which is out of date", (const char *)path->data);
    return AN_OK;
}

int an_ingest_report_write(an_writer *writer, const char *destination, an_buffer *path)
{
    an_file_writer *file;
    path->size = 0;
    int rc = an_buffer_printf(path, "%s.rejected.ndjson", destination);
    if (!rc && !an_writer_rejects(writer))
        return remove_report(path);
    if (!rc)
        rc = an_file_check_name((const char *)path->data);
    if (!rc)
        rc = an_file_writer_open(&file, (const char *)path->data);
    if (rc)
        return rc;
    rc = an_writer_rejects_visit(writer, write_line, file);
    if (!rc)
        return an_file_writer_commit(file);
    an_file_writer_abort(file);
    return rc;
}
