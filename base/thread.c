#include "base/thread.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

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

void an_thread_keep_share(int part, int parts)
{
    cpu_set_t allowed, own;
    int seen = 0;
    if (sched_getaffinity(0, sizeof allowed, &allowed) || CPU_COUNT(&allowed) < parts)
        return;
    int share = CPU_COUNT(&allowed) / parts;
    CPU_ZERO(&own);
    for (int i = 0; i < CPU_SETSIZE; i++) {
        if (!CPU_ISSET(i, &allowed))
            continue;
        if (seen / share == part)
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

/* Processors in the text of a cpu.max, "350000 100000", rounded up; 0: no limit ("max 100000") or nonsense. */
static int quota_of(const char *text)
{
    char *period_text, *end;
    unsigned long long quota = strtoull(text, &period_text, 10), period = strtoull(period_text, &end, 10);
    if (period_text == text || end == period_text || period == 0 || quota / period > 1 << 20)
        return 0;
    return quota == 0 ? 1 : (int)((quota - 1) / period + 1);
}

static int quota_cpus(const char *folder)
{
    char path[4096 + 16], text[128] = "";
    if (snprintf(path, sizeof path, "%s/cpu.max", folder) >= (int)sizeof path)
        return 0;
    FILE *file = fopen(path, "re");
    if (!file)
        return 0;
    bool got = fgets(text, sizeof text, file);
    (void)fclose(file);
    return got ? quota_of(text) : 0;
}

int an_thread_cgroup_cpus(const char *root, const char *group)
{
    char folder[4096];
    int size = snprintf(folder, sizeof folder, "%s%s", root, group);
    if (size < 0 || (size_t)size >= sizeof folder)
        return 0;
    int least = 0;
    size_t root_size = strlen(root);
    for (;;) { /* a parent's quota binds its children */
        int cpus = quota_cpus(folder);
        if (cpus > 0 && (least == 0 || cpus < least))
            least = cpus;
        char *slash = strrchr(folder, '/');
        if (!slash || (size_t)(slash - folder) < root_size)
            return least;
        *slash = '\0';
    }
}

static int cgroup_cpus(void)
{
    FILE *file = fopen("/proc/self/cgroup", "re");
    if (!file)
        return 0;
    char line[4096];
    int cpus = 0;
    while (fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = '\0';
        if (strncmp(line, "0::/", 4) == 0) /* version 2 */
            cpus = an_thread_cgroup_cpus("/sys/fs/cgroup", line + 3);
    }
    (void)fclose(file);
    return cpus;
}

int an_thread_cpu_count(void)
{
    int cpus = affinity_cpus(), quota = cgroup_cpus();
    return quota > 0 && quota < cpus ? quota : cpus;
}
