/* A file that is read through a map and is cut short, or whose disk fails, ends the process with SIGBUS: there is no
 * call that could return an error. A program that asks for it says first which file it was. */
#ifndef AN_BASE_PROGRAM_FAULT_H
#define AN_BASE_PROGRAM_FAULT_H

/* Call once, before threads start. The exit code is that of AN_EIO. */
void an_fault_install(const char *program);

#endif
