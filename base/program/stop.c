#include "base/program/stop.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <unistd.h>

#include "base/error.h"

/* Lock-free atomics: safe in a signal handler and between threads. */
static atomic_bool stop, save, end_at_once;

static void on_stop(int number)
{
    if (atomic_load(&end_at_once))
        _exit(AN_EXIT_INTERRUPTED);
    if (!atomic_exchange(&stop, true))
        return;
    /* The second request: die as if no handler had been there. The signal is blocked while its handler runs and ends
     * the process on return. */
    signal(number, SIG_DFL);
    raise(number);
}

static void on_save(int number)
{
    (void)number;
    atomic_store(&save, true);
}

static int handle(int number, void (*handler)(int))
{
    /* SA_RESTART: libraries in the main thread are not ready for EINTR; loops look at the flag. */
    struct sigaction action = {.sa_handler = handler, .sa_flags = SA_RESTART};
    sigemptyset(&action.sa_mask);
    if (sigaction(number, &action, NULL))
        return an_error_errno(errno, "cannot handle signal %d", number);
    return AN_OK;
}

int an_stop_install(void)
{
    int rc = handle(SIGINT, on_stop);
    if (!rc)
        rc = handle(SIGTERM, on_stop);
    if (!rc)
        rc = handle(SIGUSR1, on_save);
    return rc;
}

void an_stop_at_once(bool at_once)
{
    atomic_store(&end_at_once, at_once);
}

bool an_stop_requested(void)
{
    return atomic_load(&stop);
}

bool an_stop_save_requested(void)
{
    return atomic_exchange(&save, false);
}

void an_stop_request(void)
{
    atomic_store(&stop, true);
}

void an_stop_reset(void)
{
    atomic_store(&stop, false);
    atomic_store(&save, false);
    atomic_store(&end_at_once, false);
}
