/* What an unknown option may have been meant to be: the words of other programs, and names that are nearly right. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/program/options_private.h"

enum { NAME_MAX_LENGTH = 40 };

/* What other programs call an option. Only rows whose name the program has are looked at, so one word may stand in
 * several: the first counts. */
static const struct {
    const char *name, *words; /* words stand between blanks */
} synonyms[] = {
    {"rate", " lr learning-rate learn-rate base-lr initial-lr alpha eta "},
    {"decay", " weight-decay wd l2 "},
    {"batch", " batch-size batchsize bs minibatch mini-batch "},
    {"epochs", " num-epochs max-epochs n-epochs nb-epochs "},
    {"steps", " max-steps num-steps iterations max-iter max-iterations iters "},
    {"threads", " workers num-workers jobs num-threads nthreads cpus "},
    {"devices", " gpus gpu gpu-ids device ngpus "},
    {"crop", " image-size img-size imgsize input-size crop-size "},
    {"size", " image-size img-size imgsize resize resolution "},
    {"schedule", " lr-schedule scheduler lr-scheduler lr-policy rate-schedule "},
    {"rate-epochs", " milestones lr-steps lr-milestones "},
    {"warmup-epochs", " warmup warm-up warmup-steps lr-warmup-epochs warm-up-epochs "},
    {"stop-after", " early-stop early-stopping early-stopping-patience "},
    {"find-lr", " lr-find lr-finder lr-range-test find-rate "},
    {"seed", " random-seed manual-seed rng-seed "},
    {"network", " arch architecture model net "},
    {"activation", " nonlinearity act "},
    {"precision", " dtype amp fp16 bf16 half mixed-precision "},
    {"dropout", " dropout-rate drop-rate "},
    {"init", " initialization initialisation weight-init "},
    {"jitter", " color-jitter colour-jitter pca-jitter "},
    {"nesterov", " nesterov-momentum "},
    {"optimizer", " opt optim optimiser "},
    {"trust", " trust-coefficient trust-coef eta-lars larc-eta "},
    {"run", " output output-dir out-dir outdir log-dir logdir save-dir workdir work-dir exp-dir "},
    {"resume", " checkpoint continue load restart "},
    {"weights", " pretrained pretrain fine-tune finetune "},
    {"recipe", " config cfg config-file "},
    {"validate-every", " val-every val-interval eval-every eval-interval "},
    {"save-every", " save-interval checkpoint-every save-freq "},
    {"log-every", " log-interval print-freq log-freq log-steps "},
    {"accumulate", " gradient-accumulation grad-accum accumulate-grad-batches gradient-accumulation-steps "},
    {"clip", " clip-grad grad-clip clip-grad-norm max-grad-norm gradient-clip "},
    {"ema", " model-ema ema-decay average weight-average "},
    {"freeze", " frozen freeze-layers "},
    {"resized", " random-resized-crop random-resized "},
    {"last", " drop-last "},
};

/* "Batch_Size" as "batch-size". Longer names are cut: no option is that long. */
static void normalise(const char *name, char out[NAME_MAX_LENGTH + 1])
{
    size_t size = 0;
    for (; name[size] && size < NAME_MAX_LENGTH; size++)
        out[size] = name[size] == '_' ? '-' : (char)tolower((unsigned char)name[size]);
    out[size] = '\0';
}

static const char *synonym(const an_options *spec, const char *name)
{
    char word[NAME_MAX_LENGTH + 3];
    snprintf(word, sizeof word, " %s ", name);
    for (size_t i = 0; i < sizeof synonyms / sizeof synonyms[0]; i++)
        if (strstr(synonyms[i].words, word) && an_options_find(spec, synonyms[i].name))
            return synonyms[i].name;
    return NULL;
}

static int least(int a, int b)
{
    return a < b ? a : b;
}

/* Letters to insert, leave out, replace or exchange with their neighbour to make b of a. */
static int distance(const char *a, const char *b)
{
    int rows[3][NAME_MAX_LENGTH + 1]; /* of the last two letters of a, and this one */
    int width = (int)strlen(b);
    if (width > NAME_MAX_LENGTH)
        return width;
    for (int j = 0; j <= width; j++)
        rows[0][j] = j;
    for (int i = 1; a[i - 1]; i++) {
        int *now = rows[i % 3], *before = rows[(i + 2) % 3], *two_before = rows[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= width; j++) {
            now[j] = least(before[j - 1] + (a[i - 1] != b[j - 1]), 1 + least(before[j], now[j - 1]));
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                now[j] = least(now[j], two_before[j - 2] + 1);
        }
    }
    return rows[strlen(a) % 3][width];
}

/* The option whose name differs least, if that is a third of its letters at most. */
static const char *nearest(const an_options *spec, const char *name, bool in_file)
{
    static const char *const common[] = {"help", "usage", "version"};
    int found = (int)strlen(name) / 3;
    const char *best = NULL;
    for (const an_option *option = spec->options; !an_options_is_last(option); option++) {
        int away = option->heading || option->old_flag || (in_file && option->not_in_files)
                       ? NAME_MAX_LENGTH
                       : distance(name, option->name);
        if (away < found || (away == found && !best)) {
            found = away;
            best = option->name;
        }
    }
    for (size_t i = 0; !in_file && i < sizeof common / sizeof common[0]; i++)
        if (distance(name, common[i]) < found || (distance(name, common[i]) == found && !best))
            best = common[i];
    return best;
}

/* Append "'--name', '--note'": the names that begin with prefix. Returns how many, or a failure. */
static int list_prefixed(const an_options *spec, const char *prefix, an_buffer *out)
{
    int count = 0;
    for (const an_option *option = spec->options; !an_options_is_last(option); option++) {
        if (option->heading || strncmp(option->name, prefix, strlen(prefix)) != 0)
            continue;
        int rc = an_buffer_printf(out, "%s'--%s'", count++ ? ", " : "", option->name);
        if (rc)
            return rc;
    }
    return count;
}

static int ambiguous(const an_options *spec, const char *name, const an_buffer *names)
{
    return an_error(AN_EINVAL, "option '--%s' may be %s: give more letters; '%s --help' lists the options", name,
                    (const char *)names->data, spec->program);
}

int an_options_unknown(const an_options *spec, const char *name, const char *dashes)
{
    char plain[NAME_MAX_LENGTH + 1];
    an_buffer names = {0};
    normalise(name, plain);
    const char *meant = synonym(spec, plain);
    int count = !meant && *dashes && *name ? list_prefixed(spec, name, &names) : 0;
    int rc = count < 0 ? count : count > 1 ? ambiguous(spec, name, &names) : AN_OK;
    an_buffer_free(&names);
    if (rc)
        return rc;
    if (!meant)
        meant = nearest(spec, plain, !*dashes);
    if (meant)
        return an_error(AN_EINVAL, "unknown option '%s%s': did you mean '%s%s'? '%s --help' lists the options", dashes,
                        name, dashes, meant, spec->program);
    return an_error(AN_EINVAL, "unknown option '%s%s'; '%s --help' lists the options", dashes, name, spec->program);
}
