#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/program/options.h"
#include "base/program/version.h"
#include "base/version.h"
#include "tests/base/scratch.h"

typedef struct {
    bool quiet;
    int size, codec;
    uint64_t seed;
    double rate;
    const char *name, *note, *list;
    an_option_origin size_origin;
} config;

static const char *const codecs[] = {"jpeg", "coef", "yuv420", NULL};
static const char *const coefficients[] = {"false", "true", NULL}; /* a flag before there was --codec */
static const char *const notes[] = {"good", "bad", NULL};          /* a string may be something else too */

static const an_option options[] = {{.heading = "Records:"},
                                    {.name = "size",
                                     .key = 's',
                                     .type = AN_OPTION_INT,
                                     .metavar = "PIXELS",
                                     .min = 8,
                                     .max = 4096,
                                     .initial = "256",
                                     .offset = offsetof(config, size),
                                     .origin = offsetof(config, size_origin),
                                     .help = "side of the stored square image"},
                                    {.name = "codec",
                                     .type = AN_OPTION_CHOICE,
                                     .metavar = "CODEC",
                                     .choices = codecs,
                                     .offset = offsetof(config, codec),
                                     .help = "how pixels are stored"},
                                    {.name = "coefficients",
                                     .type = AN_OPTION_CHOICE,
                                     .choices = coefficients,
                                     .offset = offsetof(config, codec),
                                     .old_flag = true},
                                    {.heading = "Run:"},
                                    {.name = "seed",
                                     .type = AN_OPTION_UINT64,
                                     .metavar = "N",
                                     .initial = "42",
                                     .offset = offsetof(config, seed),
                                     .help = "seed of everything random"},
                                    {.name = "rate",
                                     .key = 'r',
                                     .type = AN_OPTION_DOUBLE,
                                     .metavar = "X",
                                     .min = 0,
                                     .max = 1,
                                     .initial = "0.1",
                                     .offset = offsetof(config, rate),
                                     .help = "learning rate"},
                                    {.name = "name",
                                     .key = 'n',
                                     .type = AN_OPTION_STRING,
                                     .metavar = "TEXT",
                                     .initial = "run",
                                     .offset = offsetof(config, name),
                                     .help = "name of the run"},
                                    {.name = "note",
                                     .type = AN_OPTION_STRING,
                                     .metavar = "A-RATHER-LONG-NAME",
                                     .choices = notes,
                                     .offset = offsetof(config, note),
                                     .help = "a remark"},
                                    {.name = "quiet",
                                     .key = 'q',
                                     .type = AN_OPTION_FLAG,
                                     .offset = offsetof(config, quiet),
                                     .help = "say nothing but errors"},
                                    {.name = "list",
                                     .type = AN_OPTION_STRING,
                                     .metavar = "FILE",
                                     .offset = offsetof(config, list),
                                     .not_in_files = true,
                                     .help = "read options from FILE"},
                                    {0}};

static const an_options spec = {.program = "an-test info",
                                .usage = "SOURCE DESTINATION\nmerge [OPTION...] SOURCE...",
                                .summary =
                                    "Tests the option parser. This paragraph is longer than one line of the help, "
                                    "so that it is wrapped.",
                                .epilogue = "Examples:\n  $ an-test info a b",
                                .options = options,
                                .arguments_min = 1,
                                .arguments_max = 2};

/* Parse a command line given as words; c holds the initial values first. */
static int parse_words(config *c, char ***arguments, const char *const *words)
{
    static char *argv[16]; /* the positional arguments point into it */
    int argc = 0;
    for (; words[argc]; argc++)
        argv[argc] = (char *)words[argc];
    argv[argc] = NULL;
    assert_int_equal(an_options_init(&spec, c), AN_OK);
    return an_options_parse(&spec, argc, argv, c, arguments);
}

#define PARSE(c, arguments, ...) parse_words(c, arguments, (const char *const[]){"an-test", __VA_ARGS__, NULL})

static void test_initial_values(void **state)
{
    (void)state;
    config c;
    memset(&c, 0xff, sizeof c);
    assert_int_equal(an_options_init(&spec, &c), AN_OK);
    assert_false(c.quiet);
    assert_int_equal(c.size, 256);
    assert_int_equal(c.codec, 0);
    assert_int_equal(c.seed, 42);
    assert_true(c.rate == 0.1);
    assert_string_equal(c.name, "run");
    assert_null(c.note);
}

/* It sets the field of the option that took its place; nothing that the program writes names it. */
static void test_an_old_flag(void **state)
{
    (void)state;
    config c;
    char **arguments;
    an_buffer written = {0};
    assert_int_equal(PARSE(&c, &arguments, "--coefficients", "src"), AN_OK);
    assert_int_equal(c.codec, 1);
    assert_string_equal(arguments[0], "src");
    assert_int_equal(an_options_write(&spec, &c, &written), AN_OK);
    assert_int_equal(an_buffer_append(&written, "", 1), AN_OK);
    assert_null(strstr((char *)written.data, "coefficients"));
    assert_non_null(strstr((char *)written.data, "codec = coef\n"));
    assert_int_equal(an_options_init(&spec, &c), AN_OK);
    assert_int_equal(an_options_set(&spec, &c, "coefficients", "true", "file"), AN_OK);
    assert_int_equal(c.codec, 1);
    assert_int_equal(an_options_set(&spec, &c, "coefficients", "false", "file"), AN_OK);
    assert_int_equal(c.codec, 0);
    assert_int_equal(an_options_set(&spec, &c, "coefficients", "2", "file"), AN_EINVAL);
    assert_int_equal(PARSE(&c, &arguments, "--coefficients=true", "src"), AN_EINVAL);
    an_buffer_free(&written);
}

static void test_good_command_lines(void **state)
{
    (void)state;
    config c;
    char **arguments;
    assert_int_equal(PARSE(&c, &arguments, "from", "--size=64", "-q", "--codec", "yuv420", "-r", "1e-3", "to"), AN_OK);
    assert_int_equal(c.size, 64);
    assert_true(c.quiet);
    assert_int_equal(c.codec, 2);
    assert_true(c.rate == 1e-3);
    assert_string_equal(arguments[0], "from");
    assert_string_equal(arguments[1], "to");
    assert_null(arguments[2]);
    assert_int_equal(PARSE(&c, &arguments, "-qs8", "--see=18446744073709551615", "--", "--size"), AN_OK);
    assert_int_equal(c.size, 8);
    assert_int_equal(c.seed, UINT64_MAX);
    assert_string_equal(arguments[0], "--size");
    assert_int_equal(PARSE(&c, &arguments, "a", "-n", "", "--note=x y"), AN_OK);
    assert_string_equal(c.name, "");
    assert_string_equal(c.note, "x y");
    assert_int_equal(PARSE(&c, NULL, "a"), AN_OK);
}

static void assert_refused(int rc, const char *message)
{
    assert_int_equal(rc, AN_EINVAL);
    assert_string_equal(an_error_message(), message);
}

static void test_bad_values(void **state)
{
    (void)state;
    config c;
    char **a;
    const char *const bad_sizes[] = {"7", "4097", "64x", "", "x", "6.5", "99999999999999999999", "-64"};
    for (size_t i = 0; i < sizeof bad_sizes / sizeof *bad_sizes; i++) {
        char message[100];
        snprintf(message, sizeof message, "'--size' is '%s' but must be a whole number: 8 to 4096", bad_sizes[i]);
        assert_refused(PARSE(&c, &a, "from", "--size", bad_sizes[i]), message);
        assert_int_equal(c.size, 256); /* untouched */
    }
    const char *const bad_rates[] = {"1.1", "-0.1", "nan", "inf", "0.1.2", ""};
    for (size_t i = 0; i < sizeof bad_rates / sizeof *bad_rates; i++)
        assert_int_equal(PARSE(&c, &a, "from", "--rate", bad_rates[i]), AN_EINVAL);
    assert_refused(PARSE(&c, &a, "from", "-r", "2"), "'--rate' is '2' but must be a number: 0 to 1");
    assert_refused(PARSE(&c, &a, "from", "--seed=-1"), "'--seed' is '-1' but must be a whole number");
    assert_int_equal(PARSE(&c, &a, "from", "--seed=18446744073709551616"), AN_EINVAL);
    assert_refused(PARSE(&c, &a, "from", "--codec=png"), "'--codec' is 'png' but must be one of: jpeg, coef, yuv420");
}

static void test_bad_options(void **state)
{
    (void)state;
    config c;
    char **a;
    assert_refused(PARSE(&c, &a, "from", "--bogus=1"),
                   "unknown option '--bogus'; 'an-test info --help' lists the options");
    assert_refused(
        PARSE(&c, &a, "from", "--n", "1"),
        "option '--n' may be '--name', '--note': give more letters; 'an-test info --help' lists the options");
    assert_refused(PARSE(&c, &a, "from", "-qx"), "unknown option '-x'; 'an-test info --help' lists the options");
    assert_refused(PARSE(&c, &a, "from", "--size"), "option '--size' needs a value: 8 to 4096");
    assert_refused(PARSE(&c, &a, "from", "-n"), "option '--name' needs a value");
    assert_refused(PARSE(&c, &a, "from", "--quiet=yes"), "option '--quiet' takes no value");
    assert_refused(PARSE(&c, &a, "from", "--help=yes"), "option '--help' takes no value");
    assert_refused(PARSE(&c, &a, "from", "--version=yes"), "option '--version' takes no value");
    assert_refused(PARSE(&c, &a, "-q"),
                   "too few arguments: 0 given, expected SOURCE DESTINATION; 'an-test info --help' explains them");
    assert_refused(PARSE(&c, &a, "1", "2", "3"),
                   "too many arguments: 3 given, expected SOURCE DESTINATION; 'an-test info --help' explains them");
}

/* What the message suggests for an unknown name, on a command line or in a file. */
static void assert_suggested(int rc, const char *suggestion)
{
    char word[64];
    assert_int_equal(rc, AN_EINVAL);
    snprintf(word, sizeof word, "did you mean '%s'?", suggestion);
    if (!strstr(an_error_message(), word))
        fail_msg("'%s' does not contain \"%s\"", an_error_message(), word);
}

static void test_unknown_names_suggest_others(void **state)
{
    (void)state;
    config c;
    char **a;
    /* other programs' words, however they are spelt */
    assert_suggested(PARSE(&c, &a, "from", "--lr", "0.1"), "--rate");
    assert_suggested(PARSE(&c, &a, "from", "--learning_rate=0.1"), "--rate");
    assert_suggested(PARSE(&c, &a, "from", "--Image-Size=3"), "--size"); /* a crop would come first: there is none */
    /* a letter too few, too many, another, exchanged */
    assert_suggested(PARSE(&c, &a, "from", "--cdec=jpeg"), "--codec");
    assert_suggested(PARSE(&c, &a, "from", "--sizes=8"), "--size");
    assert_suggested(PARSE(&c, &a, "from", "--seet=8"), "--seed");
    assert_suggested(PARSE(&c, &a, "from", "--qiuet"), "--quiet");
    assert_suggested(PARSE(&c, &a, "from", "--hepl"), "--help");
    assert_suggested(an_options_set(&spec, &c, "lr", "0.1", "a file"), "rate");
    assert_suggested(an_options_set(&spec, &c, "sise", "64", "a file"), "size");
    /* nothing is near */
    const char *const strange[] = {"--x=1", "--sd=1", "--batch-size=3",
                                   "--a-name-that-is-much-longer-than-every-option-of-this-program"};
    for (size_t i = 0; i < sizeof strange / sizeof *strange; i++) {
        assert_int_equal(PARSE(&c, &a, "from", strange[i]), AN_EINVAL);
        assert_null(strstr(an_error_message(), "did you mean"));
    }
}

static void test_options_are_given_once(void **state)
{
    (void)state;
    config c;
    assert_refused(PARSE(&c, NULL, "a", "--size=64", "--size=64"), "option '--size' is given twice: give it once");
    assert_refused(PARSE(&c, NULL, "a", "-s64", "--seed=1", "--siz=65"),
                   "option '--size' is given twice: give it once");
    assert_refused(PARSE(&c, NULL, "a", "-qq"), "option '--quiet' is given twice: give it once");
}

/* Of the initial value, a file's and the command line's the last one counts, and the target knows which it was. */
static void test_values_know_their_origin(void **state)
{
    (void)state;
    config c;
    char program[] = "an-test", argument[] = "a", key[] = "-s", value[] = "64";
    char *words[] = {program, argument, key, value, NULL};
    assert_int_equal(PARSE(&c, NULL, "a", "--size=64"), AN_OK);
    assert_int_equal(c.size_origin, AN_ORIGIN_COMMAND_LINE);
    assert_int_equal(an_options_init(&spec, &c), AN_OK);
    assert_int_equal(c.size_origin, AN_ORIGIN_INITIAL);
    assert_int_equal(an_options_set(&spec, &c, "size", "1", "a file"), AN_EINVAL);
    assert_int_equal(c.size_origin, AN_ORIGIN_INITIAL);
    assert_int_equal(an_options_set(&spec, &c, "size", "128", "a file"), AN_OK);
    assert_int_equal(c.size_origin, AN_ORIGIN_FILE);
    assert_int_equal(an_options_parse(&spec, 2, words, &c, NULL), AN_OK); /* -s is not among the two */
    assert_int_equal(c.size_origin, AN_ORIGIN_FILE);
    assert_int_equal(c.size, 128);
    assert_int_equal(an_options_parse(&spec, 4, words, &c, NULL), AN_OK);
    assert_int_equal(c.size_origin, AN_ORIGIN_COMMAND_LINE);
    assert_int_equal(c.size, 64);
}

static int some_library(an_buffer *out)
{
    return an_buffer_printf(out, "some 1.2\n");
}

/* What a child prints to standard output with this word; the parser must return AN_END to it. */
static void printed(const char *word, char *output, size_t size)
{
    int ends[2], status;
    assert_int_equal(pipe(ends), 0);
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        config c;
        dup2(ends[1], STDOUT_FILENO);
        close(ends[0]);
        close(ends[1]);
        _exit(PARSE(&c, NULL, word) == AN_END ? 0 : 99);
    }
    close(ends[1]);
    size_t used = 0;
    for (ssize_t got; (got = read(ends[0], output + used, size - 1 - used)) > 0;)
        used += (size_t)got;
    output[used] = '\0';
    close(ends[0]);
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 0);
}

static void test_help(void **state)
{
    (void)state;
    char help[8192], brief[8192];
    printed("--help", help, sizeof help);
    assert_string_equal(help, "Usage: an-test info [OPTION...] SOURCE DESTINATION\n"
                              "  or:  an-test info merge [OPTION...] SOURCE...\n"
                              "Tests the option parser. This paragraph is longer than one line of the help, so\n"
                              "that it is wrapped.\n"
                              "\n"
                              "Records:\n"
                              "  -s, --size=PIXELS          side of the stored square image (8 to 4096;\n"
                              "                             default 256)\n"
                              "      --codec=CODEC          how pixels are stored (jpeg, coef, yuv420; default\n"
                              "                             jpeg)\n"
                              "\n"
                              "Run:\n"
                              "      --seed=N               seed of everything random (default 42)\n"
                              "  -r, --rate=X               learning rate (0 to 1; default 0.1)\n"
                              "  -n, --name=TEXT            name of the run (default run)\n"
                              "      --note=A-RATHER-LONG-NAME\n"
                              "                             a remark (good, bad)\n"
                              "  -q, --quiet                say nothing but errors\n"
                              "      --list=FILE            read options from FILE\n"
                              "\n"
                              "Help:\n"
                              "  -h, --help                 show this text\n"
                              "      --usage                show the usage only\n"
                              "      --version              show the version\n"
                              "\n"
                              "Exit status:\n"
                              "  0                          success\n"
                              "  1                          the system refused or failed: no such file, no\n"
                              "                             permission, a full disk; or a library failed\n"
                              "  2                          wrong options or arguments\n"
                              "  3                          damaged or unusable data\n"
                              "  130                        stopped by SIGINT or SIGTERM; what was done is kept\n"
                              "\n"
                              "Environment:\n"
                              "  AN_LOG                     detail of messages: error, warning, info, debug\n"
                              "  AN_SIMD                    instructions used: scalar, avx2, avx512 (default:\n"
                              "                             the best that this processor has)\n"
                              "\n"
                              "Examples:\n"
                              "  $ an-test info a b\n");
    printed("-h", brief, sizeof brief);
    assert_string_equal(brief, help);
}

static int parse_onto_full_device(const char *word)
{
    config c;
    int full = open("/dev/full", O_WRONLY);
    if (full < 0 || dup2(full, STDOUT_FILENO) < 0)
        return 99;
    return -PARSE(&c, NULL, word);
}

static void test_help_that_cannot_be_written(void **state)
{
    (void)state;
    const char *words[] = {"--help", "--usage", "--version"};
    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++) {
        int status;
        fflush(stdout);
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0)
            _exit(parse_onto_full_device(words[i]));
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), -AN_EIO);
    }
}

static void test_usage_and_version(void **state)
{
    (void)state;
    char text[8192];
    printed("--usage", text, sizeof text);
    assert_string_equal(text, "Usage: an-test info [OPTION...] SOURCE DESTINATION\n"
                              "  or:  an-test info merge [OPTION...] SOURCE...\n");
    printed("--version", text, sizeof text);
    assert_string_equal(text, "an-test " AN_VERSION "\n"); /* the program without the subcommand */
    static an_version_libraries *const libraries[] = {some_library, some_library, NULL};
    an_version_declare("0123", libraries);
    printed("--version", text, sizeof text);
    assert_string_equal(text, "an-test " AN_VERSION " (commit 0123)\nsome 1.2\nsome 1.2\n");
}

static void write_file(const char *folder, char path[SCRATCH_MAX + 8], const char *text, size_t size)
{
    snprintf(path, SCRATCH_MAX + 8, "%s/recipe", folder);
    assert_int_equal(an_file_write_atomic(path, text, size), AN_OK);
}

static void test_files(void **state)
{
    (void)state;
    char folder[SCRATCH_MAX], path[SCRATCH_MAX + 8];
    static const char text[] =
        "# a recipe\n\n size=64 # small\r\n\tname =  a#b c  \ncodec = coef\nquiet = true\nnote=\n"
        "rate = 0.5";
    config c;
    scratch_make(folder);
    write_file(folder, path, text, sizeof text - 1);
    assert_int_equal(an_options_init(&spec, &c), AN_OK);
    assert_int_equal(an_options_read_file(&spec, path, &c), AN_OK);
    assert_int_equal(c.size, 64);
    assert_string_equal(c.name, "a#b c");
    assert_int_equal(c.codec, 1);
    assert_true(c.quiet);
    assert_string_equal(c.note, "");
    assert_true(c.rate == 0.5);
    assert_int_equal(c.seed, 42);
    scratch_remove(folder);
}

static void test_bad_files(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"size = 64\n\nsise = 3\n",
         "line 3: unknown option 'sise': did you mean 'size'? 'an-test info --help' lists the options"},
        {"size = 7\n", "line 1: 'size' is '7' but must be a whole number: 8 to 4096"},
        {"\nquiet = yes\n", "line 2: 'quiet' is 'yes' but must be true or false"},
        {"size 64\n", "line 1: 'name = value' expected, not 'size 64'"},
        {"size = 64\n# size = 3\nsize = 64\n", "line 3: 'size' is given twice, in line 1 before: give it once"},
        {"list = other\n", "line 1: 'list' has no effect in a file: give --list on the command line"},
        {"lst = other\n", "line 1: unknown option 'lst'; 'an-test info --help' lists the options"},
        {"= 64\n", "line 1: unknown option ''; 'an-test info --help' lists the options"},
    };
    char folder[SCRATCH_MAX], path[SCRATCH_MAX + 8];
    config c;
    scratch_make(folder);
    assert_int_equal(an_options_init(&spec, &c), AN_OK);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char message[AN_ERROR_MAX];
        write_file(folder, path, cases[i].text, strlen(cases[i].text));
        snprintf(message, sizeof message, "'%s', %s", path, cases[i].message);
        assert_refused(an_options_read_file(&spec, path, &c), message);
    }
    write_file(folder, path, "size = 64\0quiet = true\n", 23);
    assert_int_equal(an_options_read_file(&spec, path, &c), AN_EINVAL);
    snprintf(path, sizeof path, "%s/none", folder);
    assert_int_equal(an_options_read_file(&spec, path, &c), AN_ENOTFOUND);
    scratch_remove(folder);
}

static void test_what_is_written_reads_back(void **state)
{
    (void)state;
    char folder[SCRATCH_MAX], path[SCRATCH_MAX + 8];
    config c, again;
    an_buffer text = {0};
    assert_int_equal(PARSE(&c, NULL, "a", "-q", "-s9", "-r", "0.3333333333333333", "-n", "x #y"), AN_OK);
    assert_int_equal(an_options_write(&spec, &c, &text), AN_EINVAL); /* it would read back as a comment */
    text.size = 0;
    assert_int_equal(
        PARSE(&c, NULL, "a", "-q", "-s9", "-r", "0.3333333333333333", "-n", "x#y", "--codec=coef", "--list=l"), AN_OK);
    assert_int_equal(an_options_write(&spec, &c, &text), AN_OK);
    assert_non_null(strstr((char *)text.data, "size = 9\ncodec = coef\nseed = 42\nrate = 0.3333333333333333\n"));
    assert_null(strstr((char *)text.data, "note")); /* NULL: not set */
    assert_null(strstr((char *)text.data, "list"));
    scratch_make(folder);
    write_file(folder, path, (char *)text.data, text.size);
    assert_int_equal(an_options_init(&spec, &again), AN_OK);
    assert_int_equal(an_options_read_file(&spec, path, &again), AN_OK);
    assert_true(again.quiet);
    assert_int_equal(again.size, 9);
    assert_int_equal(again.codec, 1);
    assert_true(again.rate == c.rate);
    assert_string_equal(again.name, "x#y");
    assert_null(again.note);
    scratch_remove(folder);
    an_buffer_free(&text);
}

static void test_tables_that_contradict_themselves(void **state)
{
    (void)state;
    static const an_option tables[][3] = {
        {{.name = "a", .type = AN_OPTION_INT, .help = "h", .min = 1, .max = 5, .initial = "6"}, {0}},
        {{.name = "a", .type = AN_OPTION_INT, .help = "h", .min = 5, .max = 1, .initial = "3"}, {0}},
        {{.name = "a", .type = AN_OPTION_INT, .help = "h"}, {.name = "a", .type = AN_OPTION_INT, .help = "h"}, {0}},
        {{.name = "a", .key = 'x', .type = AN_OPTION_INT, .help = "h"},
         {.name = "b", .key = 'x', .type = AN_OPTION_INT, .help = "h"},
         {0}},
        {{.name = "a", .key = 'h', .type = AN_OPTION_INT, .help = "h"}, {0}},
        {{.name = "a", .type = AN_OPTION_CHOICE, .help = "h"}, {0}},
        {{.name = "a", .type = AN_OPTION_INT}, {0}},
    };
    int value;
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        an_options bad = spec;
        bad.options = tables[i];
        assert_int_equal(an_options_init(&bad, &value), AN_EINTERNAL);
        assert_non_null(strstr(an_error_message(), "an-test info"));
    }
}

static void test_types_limit_what_has_no_range(void **state)
{
    (void)state;
    static const an_option table[] = {
        {.name = "number", .type = AN_OPTION_INT, .offset = offsetof(config, size), .help = "h"},
        {.name = "real", .type = AN_OPTION_DOUBLE, .offset = offsetof(config, rate), .help = "h"},
        {0}};
    an_options free_spec = spec;
    free_spec.options = table;
    config c = {.size = 0};
    assert_int_equal(an_options_set(&free_spec, &c, "number", "-2147483648", "test"), AN_OK);
    assert_int_equal(an_options_set(&free_spec, &c, "number", "4294967297", "test"), AN_EINVAL);
    assert_string_equal(an_error_message(), "test: 'number' is '4294967297' but must be a whole number");
    assert_int_equal(c.size, INT32_MIN);
    assert_int_equal(an_options_set(&free_spec, &c, "real", "-1e300", "test"), AN_OK);
    assert_int_equal(an_options_set(&free_spec, &c, "real", "inf", "test"), AN_EINVAL);
    assert_int_equal(an_options_set(&free_spec, &c, "real", "nan", "test"), AN_EINVAL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_initial_values),
        cmocka_unit_test(test_an_old_flag),
        cmocka_unit_test(test_good_command_lines),
        cmocka_unit_test(test_bad_values),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_unknown_names_suggest_others),
        cmocka_unit_test(test_options_are_given_once),
        cmocka_unit_test(test_values_know_their_origin),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_help_that_cannot_be_written),
        cmocka_unit_test(test_usage_and_version),
        cmocka_unit_test(test_files),
        cmocka_unit_test(test_bad_files),
        cmocka_unit_test(test_what_is_written_reads_back),
        cmocka_unit_test(test_tables_that_contradict_themselves),
        cmocka_unit_test(test_types_limit_what_has_no_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
