/* Preloaded into Python: holds every pread back for as long as the file exists that AN_STALL names. */
#include <dlfcn.h>
#include <stdlib.h>
#include <unistd.h>

ssize_t pread64(int fd, void *buffer, size_t size, off64_t offset)
{
    ssize_t (*real)(int, void *, size_t, off64_t) =
        (ssize_t(*)(int, void *, size_t, off64_t))(void (*)(void))dlsym(RTLD_NEXT, "pread64");
    const char *path = getenv("AN_STALL");
    while (path && !access(path, F_OK))
        usleep(1000);
    return real(fd, buffer, size, offset);
}
