/* Names the file when reading through a memory map fails. If a mapped file is cut short, or its disk fails, the kernel
 * sends SIGBUS: no call is there to return an error. The handler installed here prints which file it was and ends the
 * process. Ending a process is a program's choice, so only a program's main() calls this; libraries never do. */
#ifndef AN_BASE_PROGRAM_FAULT_H
#define AN_BASE_PROGRAM_FAULT_H

/* Install the handler. Call it once, before threads start. program is printed before the message and is kept, not
 * copied. The process ends with the exit code of AN_EIO. A SIGBUS that has no mapped file behind it ends the process as
 * if there were no handler. */
void an_fault_install(const char *program);

#endif
