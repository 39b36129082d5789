#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "augment/loader.h"
#include "base/error.h"
#include "base/program/commit.h"
#include "base/program/fault.h"
#include "base/program/log.h"
#include "base/program/streams.h"
#include "base/program/version.h"
#include "model/backend.h"
#include "train/commands/commands.h"
#include "train/group/group.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
} commands[] = {{"eval", an_train_command_eval}, {"export", an_train_command_export}};

int an_train_command_failed(int code)
{
    an_log(AN_LOG_ERROR, "%s", an_error_message());
    return an_error_exit_code(code);
}

int an_train_command_alone(const char *program)
{
    if (an_group_launched() == 1)
        return AN_OK;
    return an_error(AN_EINVAL, "%s is for one process: start it without mpirun or srun", program);
}

/* Idle OpenMP threads would spin and take processors from the loader and from other programs. The OpenMP library reads
 * OMP_WAIT_POLICY only when it is loaded, before main: so the program sets the policy and executes itself again. */
static void let_idle_threads_sleep(char **argv)
{
    if (getenv("OMP_WAIT_POLICY"))
        return;
    if (setenv("OMP_WAIT_POLICY", "passive", 1) == 0)
        execv("/proc/self/exe", argv); /* if it fails, the program merely runs with spinning threads */
}

/* Whether "--devices list" is among the arguments: it needs no dataset, so it comes before the ordinary parsing. */
static bool devices_asked(int argc, char **argv)
{
    for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strcmp(argv[i], "--devices=list") == 0)
            return true;
        if (i + 1 < argc && strcmp(argv[i], "--devices") == 0 && strcmp(argv[i + 1], "list") == 0)
            return true;
    }
    return false;
}

static int print_devices(void)
{
    an_buffer text = {0};
    int rc = an_backend_devices(&text);
    if (!rc)
        printf("%s", (const char *)text.data);
    an_buffer_free(&text);
    return rc < 0 ? an_train_command_failed(rc) : AN_EXIT_OK;
}

static int run_command(int argc, char **argv)
{
    if (devices_asked(argc, argv))
        return print_devices();
    for (size_t i = 0; argc > 1 && i < sizeof(commands) / sizeof(commands[0]); i++)
        if (strcmp(argv[1], commands[i].name) == 0)
            return commands[i].run(argc - 1, argv + 1);
    return an_train_command_train(argc, argv);
}

static an_version_libraries *const libraries[] = {an_dataset_libraries, an_backend_libraries, NULL};

int main(int argc, char **argv)
{
    int rc = an_streams_open();
    let_idle_threads_sleep(argv);
    an_version_declare(AN_COMMIT, libraries);
    an_log_init("an-train", AN_LOG_INFO);
    an_fault_install("an-train");
    int code = rc ? an_train_command_failed(rc) : run_command(argc, argv);
    if ((fflush(stdout) || ferror(stdout)) && code == AN_EXIT_OK) {
        an_log(AN_LOG_ERROR, "cannot write to standard output");
        return AN_EXIT_FAILURE;
    }
    return code;
}
