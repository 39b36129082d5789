/* The commands of the program an-show. Each returns a code of base/error.h. argv[0] is the command's name. */
#ifndef AN_TOOLS_SHOW_COMMANDS_COMMANDS_H
#define AN_TOOLS_SHOW_COMMANDS_COMMANDS_H

int an_show_network(int argc, char **argv);
int an_show_filters(int argc, char **argv);
int an_show_predict(int argc, char **argv);
int an_show_augment(int argc, char **argv);
int an_show_curves(int argc, char **argv);
int an_show_neighbors(int argc, char **argv);
int an_show_report(int argc, char **argv);

#endif
