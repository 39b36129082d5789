/* Orderly stop. SIGINT and SIGTERM set a flag that long loops read; a second such signal ends the process at once.
 * While a program has nothing to keep, or waits for another one to read what it writes, the first one ends it at once,
 * also while it waits inside a library: system calls that are interrupted are restarted. SIGUSR1 sets another flag:
 * save and go on. Only programs install the handlers; any thread may read the flags. */
#ifndef AN_BASE_PROGRAM_STOP_H
#define AN_BASE_PROGRAM_STOP_H

#include <stdbool.h>

/* Install the handlers. AN_EIO if the system refuses. */
int an_stop_install(void);
/* Between an_stop_at_once(true) and an_stop_at_once(false), SIGINT and SIGTERM end the process with
 * AN_EXIT_INTERRUPTED. For work that leaves nothing behind when it is cut off, and that does not look at the flag. */
void an_stop_at_once(bool at_once);
bool an_stop_requested(void);
bool an_stop_save_requested(void); /* true once after SIGUSR1, then false again */
void an_stop_request(void);        /* what SIGINT does, without a signal */
void an_stop_reset(void);          /* for tests */

#endif
