#include "base/cgroup.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PATH_SIZE 4096
#define NO_LIMIT UINT64_MAX

/* What the first line of a limit's file allows; NO_LIMIT: everything, or not understood. */
typedef uint64_t limit_parser(const char *text);

/* cpu.max: microseconds of processor time, and the period in which they may be used: "350000 100000", "max 100000". */
static uint64_t parse_cpus(const char *text)
{
    char *period_text, *end;
    unsigned long long quota = strtoull(text, &period_text, 10), period = strtoull(period_text, &end, 10);
    if (period_text == text || end == period_text || period == 0 || quota / period > 1 << 20)
        return NO_LIMIT;
    return quota == 0 ? 1 : (quota - 1) / period + 1;
}

/* memory.max: bytes, or "max". */
static uint64_t parse_bytes(const char *text)
{
    char *end;
    unsigned long long bytes = strtoull(text, &end, 10);
    return end == text ? NO_LIMIT : bytes;
}

static bool read_line(const char *path, char *text, int size)
{
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool got = fgets(text, size, file);
    (void)fclose(file);
    return got;
}

static uint64_t limit_of(const char *folder, const char *name, limit_parser *parse)
{
    char path[PATH_SIZE], text[128];
    if (snprintf(path, sizeof path, "%s/%s", folder, name) >= (int)sizeof path)
        return NO_LIMIT;
    return read_line(path, text, sizeof text) ? parse(text) : NO_LIMIT;
}

/* The folder of the process's group into `folder`; *top is the length of the part that all groups share. The line of
 * version 2 is the one of hierarchy 0: "0::/user.slice". */
static bool find_group(const char *root, char folder[PATH_SIZE], size_t *top)
{
    char path[PATH_SIZE], line[PATH_SIZE];
    if (snprintf(path, sizeof path, "%s/proc/self/cgroup", root) >= (int)sizeof path)
        return false;
    FILE *file = fopen(path, "re");
    if (!file)
        return false;
    bool found = false;
    while (!found && fgets(line, sizeof line, file))
        found = strncmp(line, "0::/", 4) == 0;
    (void)fclose(file);
    if (!found)
        return false;
    line[strcspn(line, "\n")] = '\0';
    int size = snprintf(folder, PATH_SIZE, "%s/sys/fs/cgroup", root);
    if (size < 0 || (size_t)size + strlen(line + 3) >= PATH_SIZE)
        return false;
    *top = (size_t)size;
    memcpy(folder + size, line + 3, strlen(line + 3) + 1);
    return true;
}

static uint64_t lowest_limit(const char *root, const char *name, limit_parser *parse)
{
    char folder[PATH_SIZE];
    size_t top;
    uint64_t lowest = NO_LIMIT;
    if (!find_group(root, folder, &top))
        return NO_LIMIT;
    for (;;) { /* upwards, because a group's limit holds for the groups inside it */
        uint64_t limit = limit_of(folder, name, parse);
        if (limit < lowest)
            lowest = limit;
        char *slash = strrchr(folder, '/');
        if (!slash || (size_t)(slash - folder) < top)
            return lowest;
        *slash = '\0';
    }
}

int an_cgroup_cpus(const char *root)
{
    uint64_t cpus = lowest_limit(root, "cpu.max", parse_cpus);
    return cpus == NO_LIMIT ? 0 : (int)cpus;
}

uint64_t an_cgroup_memory(const char *root)
{
    return lowest_limit(root, "memory.max", parse_bytes);
}
