/* Orderly stop. SIGINT and SIGTERM set a flag that long loops read; a second such signal ends the process at once.
 * SIGUSR1 sets another flag: save and go on. Only programs install the handlers; any thread may read the flags. */
#ifndef AN_BASE_PROGRAM_STOP_H
#define AN_BASE_PROGRAM_STOP_H

#include <stdbool.h>

/* Install the handlers. AN_EIO if the system refuses. */
int an_stop_install(void);
bool an_stop_requested(void);
bool an_stop_save_requested(void); /* true once after SIGUSR1, then false again */
void an_stop_request(void);        /* what SIGINT does, without a signal */
void an_stop_reset(void);          /* for tests */

#endif
