/* The commands of the program an-train. Each parses its arguments and returns the process's exit code. argv[0] is the
 * command's name. */
#ifndef AN_TRAIN_COMMANDS_COMMANDS_H
#define AN_TRAIN_COMMANDS_COMMANDS_H

int an_train_command_train(int argc, char **argv);
int an_train_command_eval(int argc, char **argv);
int an_train_command_export(int argc, char **argv);

/* AN_EINVAL if a launcher has started several processes: they would all do the same. */
int an_train_command_alone(const char *program);

/* Print this thread's error to standard error and return the exit code for it. */
int an_train_command_failed(int code);

#endif
