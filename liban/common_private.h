/* What all files of liban use: the check that a process did not fork, and the reading of option structs of any version.
 *
 * Private names begin with an_lib, public ones with liban. Codes of liban are those of base/error.h, so they and their
 * messages pass through as they are. */
#ifndef AN_LIBAN_COMMON_PRIVATE_H
#define AN_LIBAN_COMMON_PRIVATE_H

#include <stdbool.h>
#include <sys/types.h>

#include <an/common.h>

/* 0 in the process that opened something; LIBAN_EFORKED, with a message that names it, in another one. */
int an_lib_check_process(pid_t owner, const char *what);
bool an_lib_is_forked(pid_t owner);

/* LIBAN_EINVAL, with the name and the range, unless min <= value <= max. */
int an_lib_check_range(const char *name, int64_t value, int64_t min, int64_t max);

/* Copy a caller's option struct, which begins with its version. sizes[v - 1]: bytes of version v, whose members are
 * those of version v - 1 and more behind them. What the caller's version does not have yet stays as it is in `to`.
 * LIBAN_EINVAL for version 0, LIBAN_EUNSUPPORTED for one that is newer than this library. */
int an_lib_take_options(void *to, const void *from, const size_t *sizes, uint32_t versions, const char *name);

/* The end of a member in its struct: what sizes are made of. */
#define AN_LIB_END_OF(type, member) (offsetof(type, member) + sizeof(((type *)0)->member))

#endif
