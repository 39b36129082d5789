#include "base/program/progress.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "base/clock.h"

#define REDRAW_NS 100000000u
#define PLAIN_NS 5000000000u
#define LINE_MAX_SIZE 512

const char *const an_progress_form_names[] = {"auto", "json", "none", NULL};

static bool redraws(void)
{
    const char *terminal = getenv("TERM");
    return isatty(STDERR_FILENO) == 1 && terminal && strcmp(terminal, "dumb") != 0;
}

void an_progress_start(an_progress *p, const char *label, const char *unit, uint64_t first, uint64_t total, bool quiet)
{
    *p = (an_progress){.label = label, .unit = unit, .total = total, .start_ns = an_clock_ns(), .first = first};
    p->quiet = quiet;
    p->terminal = redraws();
    p->next_ns = p->start_ns + (p->terminal ? REDRAW_NS : PLAIN_NS);
}

typedef struct {
    char text[LINE_MAX_SIZE];
    size_t size;
} line;

static void add(line *l, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* What does not fit is cut: a progress line is no place for long texts. */
static void add(line *l, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int size = vsnprintf(l->text + l->size, sizeof l->text - l->size, format, arguments);
    va_end(arguments);
    if (size > 0)
        l->size += (size_t)size;
    if (l->size > sizeof l->text - 1)
        l->size = sizeof l->text - 1;
}

static void add_duration(line *l, double seconds)
{
    unsigned long long s = seconds < 1e9 ? (unsigned long long)(seconds + 0.5) : 1000000000;
    if (s >= 3600)
        add(l, "%llu:%02llu:%02llu", s / 3600, s / 60 % 60, s % 60);
    else
        add(l, "%llu:%02llu", s / 60, s % 60);
}

static double rate_of(const an_progress *p, uint64_t done, double seconds)
{
    return seconds > 0 && done > p->first ? (double)(done - p->first) / seconds : 0;
}

static void describe(line *l, const an_progress *p, uint64_t done, const char *note, bool finished)
{
    double seconds = an_clock_seconds_since(p->start_ns), rate = rate_of(p, done, seconds);
    add(l, "%.40s: %llu", p->label, (unsigned long long)done);
    if (p->total > 0)
        add(l, "/%llu", (unsigned long long)p->total);
    add(l, " %s", p->unit);
    if (p->total > 0 && !finished)
        add(l, " (%d%%)", (int)(100.0 * (double)done / (double)p->total));
    add(l, rate < 100 ? ", %.1f/s" : ", %.0f/s", rate);
    if (finished) {
        add(l, ", took ");
        add_duration(l, seconds);
    } else if (rate > 0 && done < p->total) {
        add(l, ", ");
        add_duration(l, (double)(p->total - done) / rate);
        add(l, " left");
    }
    if (p->counter && p->counted && !finished)
        add(l, ", %llu %s", (unsigned long long)p->counted, p->counter);
    if (note && *note)
        add(l, ", %s", note);
}

static void describe_json(line *l, const an_progress *p, uint64_t done)
{
    double rate = rate_of(p, done, an_clock_seconds_since(p->start_ns));
    add(l, "{\"inputs\": %llu, \"total\": ", (unsigned long long)done);
    if (p->total > 0)
        add(l, "%llu", (unsigned long long)p->total);
    else
        add(l, "null");
    add(l, ", \"%s_per_second\": %.1f", p->unit, rate);
    if (p->counter) {
        add(l, ", \"");
        for (const char *c = p->counter; *c; c++)
            add(l, "%c", *c == ' ' ? '_' : *c);
        add(l, "\": %llu", (unsigned long long)p->counted);
    }
    add(l, "}");
}

/* How many columns a redrawn line may take: a line that wraps cannot be erased. */
static int columns(void)
{
    struct winsize size;
    if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) || size.ws_col < 2)
        return 79;
    return size.ws_col - 1;
}

static void show(const an_progress *p, uint64_t done, const char *note, bool finished)
{
    line l = {.size = 0};
    if (p->json)
        describe_json(&l, p, done);
    else
        describe(&l, p, done, note, finished);
    if (p->terminal)
        fprintf(stderr, "\r\033[K%.*s%s", columns(), l.text, finished ? "\n" : "");
    else
        fprintf(stderr, "%s\n", l.text);
}

void an_progress_as_json(an_progress *p)
{
    p->json = true;
    p->terminal = false;
    p->next_ns = 0;
    an_progress_update(p, p->first, NULL);
}

void an_progress_update(an_progress *p, uint64_t done, const char *note)
{
    uint64_t now = p->quiet ? 0 : an_clock_ns();
    if (p->quiet || now < p->next_ns)
        return;
    p->next_ns = now + (p->terminal || p->json ? REDRAW_NS : PLAIN_NS);
    show(p, done, note, false);
}

void an_progress_finish(an_progress *p, uint64_t done, const char *note)
{
    if (!p->quiet)
        show(p, done, note, true);
}
