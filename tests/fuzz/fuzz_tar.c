/* Tars, with tars inside: whatever the bytes, every file found lies within them. */
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/error.h"
#include "ingest/sources/archive/members_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int fd = -1;
    char path[64];
    an_members members = {0};
    if (fd < 0 && (fd = memfd_create("tar", 0)) < 0)
        __builtin_trap();
    if (ftruncate(fd, 0) || pwrite(fd, data, size, 0) != (ssize_t)size)
        return 0;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    an_buffer base = {0};
    int rc = an_members_add(&members, path, 0, "");
    if (!rc)
        rc = an_members_finish(&members);
    if (!rc)
        rc = an_members_refuse_repeated(&members);
    if (!rc)
        (void)an_members_base(&members, &base);
    for (uint64_t i = 0; i < members.count; i++)
        if (members.entries[i].kind == AN_MEMBER_FILE &&
            (members.entries[i].offset > size || members.entries[i].size > size - members.entries[i].offset))
            __builtin_trap();
    an_buffer_free(&base);
    an_members_free(&members);
    return 0;
}
