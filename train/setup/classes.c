#include <jansson.h>
#include <string.h>

#include "base/error.h"
#include "train/setup/data.h"

int an_train_class_ids(const an_dataset *dataset, char **out)
{
    json_t *list = json_array();
    int failed = list ? 0 : -1;
    for (uint32_t i = 0; i < an_dataset_class_count(dataset); i++)
        failed |= json_array_append_new(list, json_string(an_dataset_class(dataset, i)->id));
    *out = failed ? NULL : json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return *out ? AN_OK : an_error(AN_EINVAL, "'%s': a class name is not UTF-8", an_dataset_path(dataset));
}

int an_train_class_check(const an_dataset *dataset, const char *ids, const char *origin)
{
    json_t *list = json_loads(ids, 0, NULL);
    if (!json_is_array(list)) {
        json_decref(list);
        return an_error(AN_ECORRUPT, "'%s': its list of classes is unreadable", origin);
    }
    int rc = AN_OK;
    size_t count = json_array_size(list), here = an_dataset_class_count(dataset);
    if (count != here)
        rc = an_error(AN_EINVAL, "'%s' has %zu classes, '%s' has %zu: they do not belong together",
                      an_dataset_path(dataset), here, origin, count);
    for (size_t i = 0; !rc && i < count; i++) {
        const char *theirs = json_string_value(json_array_get(list, i));
        const char *ours = an_dataset_class(dataset, (uint32_t)i)->id;
        if (!theirs || strcmp(theirs, ours) != 0)
            rc = an_error(AN_EINVAL, "class %zu is '%s' in '%s' but '%s' in '%s': they do not belong together", i, ours,
                          an_dataset_path(dataset), theirs ? theirs : "?", origin);
    }
    json_decref(list);
    return rc;
}
