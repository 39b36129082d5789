#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "train/setup/data.h"
#include "train/state/text.h"

static json_t *class_id(const an_dataset *dataset, uint32_t label)
{
    const char *id = an_dataset_class(dataset, label)->id;
    return an_text_json(id, strlen(id));
}

int an_train_class_ids(const an_dataset *dataset, char **out)
{
    json_t *list = json_array();
    int failed = list ? 0 : -1;
    for (uint32_t i = 0; i < an_dataset_class_count(dataset); i++)
        failed |= json_array_append_new(list, class_id(dataset, i));
    *out = failed ? NULL : json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return *out ? AN_OK : an_error(AN_ENOMEM, "out of memory for the classes of '%s'", an_dataset_path(dataset));
}

/* Both as they stand in a list of ids: escaped. */
static int check_class(const an_dataset *dataset, uint32_t label, const json_t *expected, const char *origin)
{
    json_t *ours = class_id(dataset, label);
    if (!ours)
        return an_error(AN_ENOMEM, "out of memory comparing classes");
    const char *id = json_string_value(expected);
    int rc = AN_OK;
    if (!id || strcmp(id, json_string_value(ours)) != 0)
        rc = an_error(AN_EINVAL,
                      "class %u is '%s' in '%s' but '%s' in '%s': they do not belong together; ingest '%s' again, with "
                      "--classes-from and the training set",
                      label, json_string_value(ours), an_dataset_path(dataset), id ? id : "?", origin,
                      an_dataset_path(dataset));
    json_decref(ours);
    return rc;
}

int an_train_class_check(const an_dataset *dataset, const char *ids, const char *origin)
{
    json_t *list = an_text_json_classes(ids);
    if (!list)
        return an_error(AN_ECORRUPT, "'%s': its list of classes is unreadable", origin);
    int rc = AN_OK;
    size_t count = json_array_size(list), here = an_dataset_class_count(dataset);
    if (count != here)
        rc = an_error(AN_EINVAL,
                      "'%s' has %zu classes, '%s' has %zu: they do not belong together; ingest '%s' again, with "
                      "--classes-from and the training set",
                      an_dataset_path(dataset), here, origin, count, an_dataset_path(dataset));
    for (size_t i = 0; !rc && i < count; i++)
        rc = check_class(dataset, (uint32_t)i, json_array_get(list, i), origin);
    json_decref(list);
    return rc;
}

int an_train_top_check(int top, uint32_t classes)
{
    if (top == AN_EXEC_TOP || (uint32_t)top < classes)
        return AN_OK;
    if (classes < 3)
        return an_error(AN_EINVAL, "--top %d: of %u classes there is no other accuracy than top-1", top, classes);
    return an_error(AN_EINVAL, "--top %d: among %u classes every image would be right: use --top %u or less", top,
                    classes, classes - 1);
}
