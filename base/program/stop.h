/* Orderly stop: SIGINT and SIGTERM set a flag that loops look at; a second one ends the process at once. SIGUSR1 sets a
 * flag of its own (save and go on). */
#ifndef AN_BASE_PROGRAM_STOP_H
#define AN_BASE_PROGRAM_STOP_H

#include <stdbool.h>

int an_stop_install(void);
bool an_stop_requested(void);
bool an_stop_save_requested(void); /* true once per SIGUSR1 */
void an_stop_request(void);        /* as a signal would; also for tests */
void an_stop_reset(void);          /* for tests */

#endif
