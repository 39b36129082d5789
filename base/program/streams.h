/* The standard streams of a program. Whoever starts a program may have closed descriptors 0 to 2. The first file that
 * the program opens then gets such a number, and what is meant for the user goes into that file: progress lines into a
 * dataset, for example. So every program calls this first of all; libraries never do. */
#ifndef AN_BASE_PROGRAM_STREAMS_H
#define AN_BASE_PROGRAM_STREAMS_H

/* Open /dev/null in place of each of the descriptors 0 to 2 that is closed: input is at its end, output is dropped.
 * Call it before anything opens a file and before threads start. AN_EIO or AN_ENOTFOUND if that is not possible; the
 * program must end then. */
int an_streams_open(void);

#endif
