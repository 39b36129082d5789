/* The commands of the program an-ingest: parse arguments, call the library, print. argv[0] is the command's name. They
 * return an error code; main reports it. */
#ifndef AN_INGEST_COMMANDS_H
#define AN_INGEST_COMMANDS_H

int an_command_ingest(int argc, char **argv);
int an_command_info(int argc, char **argv);
int an_command_verify(int argc, char **argv);

#endif
