/* Some of the tarball's libraries call these, which glibc has since 2.36. This library serves them where it is older.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/random.h>

void arc4random_buf(void *out, size_t size)
{
    for (unsigned char *at = out; size > 0;) {
        ssize_t got = getrandom(at, size, 0);
        if (got < 0)
            abort(); /* as glibc does: no caller expects a failure */
        at += got;
        size -= (size_t)got;
    }
}

uint32_t arc4random(void)
{
    uint32_t value;
    arc4random_buf(&value, sizeof value);
    return value;
}
