#include "liban/common_private.h"

#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/version.h"

_Static_assert((int)LIBAN_END == AN_END && (int)LIBAN_AGAIN == AN_AGAIN && (int)LIBAN_INTERRUPTED == AN_STOPPED,
               "outcomes pass through");
_Static_assert((int)LIBAN_EINVAL == AN_EINVAL && (int)LIBAN_EIO == AN_EIO && (int)LIBAN_ENOMEM == AN_ENOMEM &&
                   (int)LIBAN_ECORRUPT == AN_ECORRUPT && (int)LIBAN_ENOTFOUND == AN_ENOTFOUND &&
                   (int)LIBAN_ENOSPC == AN_ENOSPC && (int)LIBAN_EUNSUPPORTED == AN_EUNSUPPORTED &&
                   (int)LIBAN_EINTERNAL == AN_EINTERNAL,
               "failures pass through");

const char *liban_error_message(void)
{
    return an_error_message();
}

int liban_error_number(void)
{
    return an_error_number();
}

const char *liban_version(void)
{
    return AN_VERSION;
}

bool an_lib_is_forked(pid_t owner)
{
    return getpid() != owner;
}

int an_lib_check_process(pid_t owner, const char *what)
{
    if (!an_lib_is_forked(owner))
        return LIBAN_OK;
    return an_error(LIBAN_EFORKED, "the %s belongs to process %ld, of which this one is a fork: open it here instead",
                    what, (long)owner);
}

int an_lib_take_options(void *to, const void *from, const size_t *sizes, uint32_t versions, const char *name)
{
    if (!from)
        return an_error(LIBAN_EINVAL, "%s is NULL", name);
    uint32_t version;
    memcpy(&version, from, sizeof version);
    if (version == 0)
        return an_error(LIBAN_EINVAL, "%s has version 0: begin with its initialiser", name);
    if (version > versions)
        return an_error(LIBAN_EUNSUPPORTED, "%s has version %u, this library knows %u: it is older than the program",
                        name, version, versions);
    memcpy(to, from, sizes[version - 1]);
    memcpy(to, &versions, sizeof versions);
    return LIBAN_OK;
}

int an_lib_check_range(const char *name, int64_t value, int64_t min, int64_t max)
{
    if (value >= min && value <= max)
        return LIBAN_OK;
    return an_error(LIBAN_EINVAL, "%s %lld is outside %lld..%lld", name, (long long)value, (long long)min,
                    (long long)max);
}
