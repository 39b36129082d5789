/* Structural variants of a small dataset's data.mdb, each read in every way there is: opened, described (info),
 * verified, loaded with each of four engines, and continued as an interrupted run. Each variant has a process of its
 * own, so a crash or a hang is that variant's and the next one goes on.
 *
 * What counts as a finding: a crash, a report of a sanitizer, a step over TIME_LIMIT, a code that is not for damaged
 * data, a message that does not name the dataset, engines that disagree, a dataset that passes verify but not info or
 * the loader, or that passes and holds something else, and a run that went on and ended unsound. */
#include <getopt.h>
#include <jansson.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/program/stop.h"
#include "ingest/commands/info.h"
#include "ingest/commands/verify.h"
#include "tests/attack/dataset.h"
#include "tests/attack/mutate.h"

enum { TIME_LIMIT = 10 /* seconds of one step */, CHANGES_MAX = 3, LEAK_CHECK_EVERY = 16, BATCH = 32, CROP = 24 };
enum { REFUSED = 40, HARMLESS, FINDING, BROKEN }; /* exit codes of a variant's process, unlike those of sanitizers */

typedef struct {
    char folder[64], set[80], data[96], copy[80], partial[96], partial_data[128];
    an_buffer base;
    uint64_t fingerprint; /* of the base */
} place;

static const an_reader_engine engines[] = {AN_READER_URING, AN_READER_URING_DIRECT, AN_READER_PREAD, AN_READER_MMAP};
enum { ENGINES = sizeof engines / sizeof *engines };

/* --------------------------------------------------------------------------- in the variant's process ---- */

static int report; /* where the parent reads what this variant is and what was found */

static void say(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void say(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    (void)vdprintf(report, format, arguments);
    va_end(arguments);
}

static void found(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
static void found(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    say("FINDING: ");
    (void)vdprintf(report, format, arguments);
    va_end(arguments);
    _exit(FINDING);
}

/* The code of a step, which must be one for damaged data, with a message that names the dataset. */
static int checked(const char *step, int rc, const char *name)
{
    bool known = rc >= 0 || rc == AN_ECORRUPT || rc == AN_EUNSUPPORTED;
    if (!known)
        found("%s: exit code %d: %s", step, an_error_exit_code(rc), an_error_message());
    if (rc < 0 && !strstr(an_error_message(), name))
        found("%s: the message does not name the dataset: %s", step, an_error_message());
    alarm(TIME_LIMIT);
    return rc;
}

static int describe(const an_dataset *dataset)
{
    json_t *text = NULL;
    int rc = an_info_json(dataset, &text);
    json_decref(text);
    return rc;
}

static int verify(const an_dataset *dataset)
{
    an_verify_faults faults;
    int rc = an_verify(dataset, 1, true, &faults);
    if (!rc && faults.count)
        rc = an_error(AN_ECORRUPT, "'%s': %llu records are damaged", an_dataset_path(dataset),
                      (unsigned long long)faults.count);
    an_verify_faults_free(&faults);
    return rc;
}

static int load(const an_dataset *dataset, an_reader_engine engine)
{
    an_loader *loader;
    an_batch batch;
    uint32_t side = an_dataset_side(dataset);
    an_loader_options options = {
        .dataset = dataset,
        .sample = {.crop = side < CROP ? side : CROP, .scale = 1, .format = {AN_DTYPE_U8, AN_LAYOUT_NHWC, 3}},
        .engine = engine,
        .depth = 8,
        .threads = 1,
        .slots = 2,
        .batch = BATCH,
        .world = 1,
        .last = AN_LAST_SHORT,
        .verify = true,
        .epochs = 1};
    if (an_dataset_count(dataset) == 0)
        return AN_OK; /* a loader needs records: wrong use, not damage */
    int rc = an_loader_create(&loader, &options);
    if (rc)
        return rc;
    rc = an_loader_next(loader, &batch);
    while (!rc) {
        rc = an_loader_release(loader, &batch);
        if (!rc)
            rc = an_loader_next(loader, &batch);
    }
    an_loader_free(loader);
    return rc;
}

static void read_all_ways(const place *p, const an_dataset *dataset, bool repaired)
{
    int loaded[ENGINES];
    int info = checked("info", describe(dataset), p->set);
    int exchanged = checked("headers", an_dataset_verify_headers(dataset), p->set);
    int verified = checked("verify", verify(dataset), p->set);
    for (int e = 0; e < ENGINES; e++) {
        loaded[e] = checked(an_reader_engine_name(engines[e]), load(dataset, engines[e]), p->set);
        if ((loaded[e] < 0) != (loaded[0] < 0))
            found("engine %s gives %d, %s gives %d", an_reader_engine_name(engines[0]), loaded[0],
                  an_reader_engine_name(engines[e]), loaded[e]);
    }
    if (!verified && info < 0)
        found("info refuses what verify passes: %s", an_error_message());
    if (!verified && loaded[0] < 0)
        found("the loader refuses what verify passes: %s", an_error_message());
    if (exchanged < 0 && loaded[0] >= 0 && an_dataset_count(dataset))
        found("the loader passes records that are not those of the index");
    if (!verified && !repaired && an_dataset_fingerprint(dataset) != p->fingerprint)
        found("verify passes a dataset that holds something else");
}

/* True if every step passed. */
static bool read_variant(const place *p, bool repaired)
{
    an_dataset *dataset;
    if (checked("open", an_dataset_open(&dataset, p->set), p->set))
        return false;
    read_all_ways(p, dataset, repaired);
    bool sound = !verify(dataset);
    alarm(TIME_LIMIT);
    an_dataset_free(dataset);
    return sound;
}

/* As the leavings of a run that was killed right before the end. A run with another manifest is wrong use: exit code 2.
 */
static bool continue_variant(const place *p)
{
    an_dataset *dataset;
    int rc = attack_dataset_continue(p->copy);
    alarm(TIME_LIMIT);
    if (rc == AN_EINVAL && strstr(an_error_message(), p->partial))
        return false;
    if (checked("continue", rc, p->copy))
        return false;
    rc = an_dataset_open(&dataset, p->copy);
    if (!rc)
        rc = verify(dataset);
    if (rc)
        found("a run that was continued ended unsound: %s", an_error_message());
    an_dataset_free(dataset);
    return true;
}

/* Without its files the attack says nothing. */
static void need(bool done, const char *path)
{
    if (done)
        return;
    say("cannot write '%s'", path);
    _exit(BROKEN);
}

static void write_file(const char *path, const an_buffer *bytes)
{
    FILE *file = fopen(path, "wbe");
    need(file && fwrite(bytes->data, 1, bytes->size, file) == bytes->size && fclose(file) == 0, path);
}

static void run_variant(place *p, uint64_t seed, uint64_t variant)
{
    an_rng rng = an_rng_make(seed, AN_RNG_TEST, 0, variant);
    uint32_t changes = 1 + an_rng_below(&rng, CHANGES_MAX);
    bool repaired = an_rng_below(&rng, 2);
    for (uint32_t i = 0; i < changes; i++)
        say("%s; ", mutate(&p->base, &rng));
    alarm(TIME_LIMIT);
    write_file(p->data, &p->base);
    if (repaired)
        repaired = attack_dataset_repair(p->data, &p->base);
    say(repaired ? "checksum repaired; " : "");
    need(mkdir(p->partial, 0777) == 0, p->partial);
    write_file(p->partial_data, &p->base);
    bool read = read_variant(p, repaired), continued = continue_variant(p);
    an_buffer_free(&p->base);
    if (variant % LEAK_CHECK_EVERY == 0)
        exit(read || continued ? HARMLESS : REFUSED); /* with the check for leaks */
    _exit(read || continued ? HARMLESS : REFUSED);
}

/* -------------------------------------------------------------------------------------- in the parent ---- */

static int make_place(place *p)
{
    const char *base = getenv("TMPDIR");
    snprintf(p->folder, sizeof p->folder, "%.40s/an-attack-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(p->folder))
        return an_error(AN_EIO, "cannot make a folder in '%s'", base ? base : "/tmp");
    snprintf(p->set, sizeof p->set, "%s/set", p->folder);
    snprintf(p->data, sizeof p->data, "%s/data.mdb", p->set);
    snprintf(p->copy, sizeof p->copy, "%s/run", p->folder);
    snprintf(p->partial, sizeof p->partial, "%s.partial", p->copy);
    snprintf(p->partial_data, sizeof p->partial_data, "%s/data.mdb", p->partial);
    int rc = attack_dataset_make(p->set);
    if (!rc)
        rc = an_file_read(p->data, SIZE_MAX / 2, &p->base);
    an_dataset *dataset;
    if (!rc)
        rc = an_dataset_open(&dataset, p->set);
    if (rc)
        return rc;
    p->fingerprint = an_dataset_fingerprint(dataset);
    an_dataset_free(dataset);
    return AN_OK;
}

static void clear_run(const place *p)
{
    char data[128];
    snprintf(data, sizeof data, "%s/data.mdb", p->copy);
    (void)unlink(p->partial_data);
    (void)rmdir(p->partial);
    (void)unlink(data);
    (void)rmdir(p->copy);
}

static void remove_place(place *p)
{
    clear_run(p);
    (void)unlink(p->data);
    (void)rmdir(p->set);
    (void)rmdir(p->folder);
    an_buffer_free(&p->base);
}

/* Start the variant's process and wait. Returns its exit code, or minus the signal that ended it. */
static int outcome_of(place *p, uint64_t seed, uint64_t variant, char *said, size_t size)
{
    int ends[2], status = 0;
    if (pipe(ends))
        return FINDING;
    pid_t child = fork();
    if (child == 0) {
        (void)close(ends[0]);
        report = ends[1];
        run_variant(p, seed, variant);
    }
    (void)close(ends[1]);
    size_t have = 0;
    for (ssize_t got; have < size - 1 && (got = read(ends[0], said + have, size - 1 - have)) > 0;)
        have += (size_t)got;
    said[have] = '\0';
    (void)close(ends[0]);
    if (child < 0 || waitpid(child, &status, 0) != child)
        return FINDING;
    return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void print_finding(uint64_t seed, uint64_t variant, int outcome, const char *said)
{
    char how[80] = "";
    if (outcome == -SIGALRM)
        snprintf(how, sizeof how, "took more than %d s", TIME_LIMIT);
    else if (outcome < 0)
        snprintf(how, sizeof how, "ended by signal %d", -outcome);
    else if (outcome != FINDING)
        snprintf(how, sizeof how, "exit code %d", outcome);
    printf("seed %llu, variant %llu: %s%s\n", (unsigned long long)seed, (unsigned long long)variant, said, how);
    (void)fflush(stdout);
}

static int attack(place *p, uint64_t seed, uint64_t first, uint64_t count)
{
    int refused = 0, harmless = 0, findings = 0, outcome = REFUSED;
    char said[1000];
    for (uint64_t variant = first; variant < first + count && outcome != BROKEN; variant++) {
        outcome = outcome_of(p, seed, variant, said, sizeof said);
        clear_run(p);
        refused += outcome == REFUSED;
        harmless += outcome == HARMLESS;
        if (outcome == REFUSED || outcome == HARMLESS)
            continue;
        findings++;
        print_finding(seed, variant, outcome, said);
    }
    printf("structure: %llu variants x %d engines: %d refused, %d harmless, %d findings\n", (unsigned long long)count,
           ENGINES, refused, harmless, findings);
    return findings ? 1 : 0;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {{"count", required_argument, NULL, 'c'},
                                            {"seed", required_argument, NULL, 's'},
                                            {"first", required_argument, NULL, 'f'},
                                            {0}};
    uint64_t count = 100, seed = 1, first = 0;
    for (int c; (c = getopt_long(argc, argv, "", options, NULL)) >= 0;) {
        if (c == '?')
            return 2;
        *(c == 'c' ? &count : c == 's' ? &seed : &first) = strtoull(optarg, NULL, 10);
    }
    place p = {0};
    int rc = make_place(&p);
    if (rc)
        fprintf(stderr, "%s\n", an_error_message());
    rc = rc ? 1 : attack(&p, seed, first, count);
    remove_place(&p);
    return rc;
}
