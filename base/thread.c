#include "base/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <string.h>

#include "base/cgroup.h"
#include "base/error.h"

#define NAME_MAX_SHOWN 16 /* the kernel's limit, terminator included */

int an_thread_start(pthread_t *thread, const char *name, void *(*run)(void *), void *argument)
{
    static const int own[] = {SIGBUS, SIGSEGV, SIGILL, SIGFPE}; /* come from what the thread itself does */
    sigset_t others, before;
    sigfillset(&others);
    for (size_t i = 0; i < sizeof own / sizeof *own; i++)
        sigdelset(&others, own[i]);
    int errnum = pthread_sigmask(SIG_SETMASK, &others, &before); /* the new thread inherits the mask */
    if (errnum)
        return an_error_errno(errnum, "cannot block signals for thread '%s'", name);
    errnum = pthread_create(thread, NULL, run, argument);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL); /* restores what was valid a moment ago */
    if (errnum)
        return an_error_errno(errnum, "cannot start thread '%s'", name);
    char shown[NAME_MAX_SHOWN] = "";
    memcpy(shown, name, strnlen(name, NAME_MAX_SHOWN - 1));
    (void)pthread_setname_np(*thread, shown); /* for tools such as top only; the thread may have ended already */
    return AN_OK;
}

int an_thread_share(int count, int part, int parts, int *first)
{
    *first = (int)((int64_t)count * part / parts);
    return (int)((int64_t)count * (part + 1) / parts) - *first;
}

void an_thread_keep_share(int part, int parts)
{
    cpu_set_t allowed, own;
    int first, seen = 0;
    if (sched_getaffinity(0, sizeof allowed, &allowed) || CPU_COUNT(&allowed) < parts)
        return;
    int share = an_thread_share(CPU_COUNT(&allowed), part, parts, &first);
    CPU_ZERO(&own);
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &allowed))
            continue;
        if (seen >= first && seen < first + share)
            CPU_SET(i, &own);
        seen++;
    }
    (void)pthread_setaffinity_np(pthread_self(), sizeof own, &own); /* a refusal costs speed only */
}

static int affinity_cpus(void)
{
    int count = 0;
    for (int possible = CPU_SETSIZE; possible <= 1 << 20; possible *= 2) {
        cpu_set_t *set = CPU_ALLOC(possible);
        if (!set)
            break;
        int failed = sched_getaffinity(0, CPU_ALLOC_SIZE(possible), set);
        if (!failed)
            count = CPU_COUNT_S(CPU_ALLOC_SIZE(possible), set);
        CPU_FREE(set);
        if (!failed || errno != EINVAL) /* EINVAL: the kernel knows more processors than the set holds */
            break;
    }
    return count > 0 ? count : 1;
}

int an_thread_cpu_count(void)
{
    int cpus = affinity_cpus(), quota = an_cgroup_cpus("");
    return quota > 0 && quota < cpus ? quota : cpus;
}
