/* MPI in a module (base/module/module.h): what the program and the module agree about. mpi.h appears only in the
 * module's source; the program knows a table of functions, so tests can put another one in its place.
 *
 * Functions return 0 or a code that describe makes a text of. All are called by one thread, begin first and end last.
 * What is sent and received are bytes. A request is a number that the module gave out; 0 is none.
 *
 * The module exports one symbol, AN_MPI_MODULE. It needs nothing of the program. */
#ifndef AN_TRAIN_GROUP_MPI_MODULE_H
#define AN_TRAIN_GROUP_MPI_MODULE_H

#include <stddef.h>
#include <stdint.h>

#include "base/module/module.h"
#include "train/group/group.h"

/* To be raised with every change of what the two sides share. */
#define AN_MPI_MODULE_VERSION 1

#define AN_MPI_TEXT 512 /* room for any text, terminator included */

/* Messages of one channel, a communicator, never meet those of another one. */
typedef enum { AN_MPI_SIGNS, AN_MPI_GRADIENTS, AN_MPI_CHANNELS } an_mpi_channel;

typedef struct {
    int rank, world;
    int node;                  /* the lowest rank of those that share memory with this one */
    int tag_max;               /* of messages; from 0 */
    char library[AN_MPI_TEXT]; /* "Open MPI 4.1.4" */
    char host[AN_MPI_TEXT];
} an_mpi_place;

typedef struct {
    void *context;
    int (*begin)(void *context, an_mpi_place *out);
    int (*end)(void *context); /* every rank must come, and no request may be left */

    /* Begin to move data, which stays where it is until the request is done. A receive takes a message of at most
     * size bytes. */
    int (*send)(void *context, an_mpi_channel channel, const void *data, size_t size, int rank, int tag,
                uint64_t *request);
    int (*receive)(void *context, an_mpi_channel channel, void *data, size_t size, int rank, int tag,
                   uint64_t *request);
    /* Collectives: all ranks call them in the same order. gather: all takes world x size bytes. broadcast: from rank
     * 0. At most INT_MAX bytes. */
    int (*gather)(void *context, const void *own, size_t size, void *all, uint64_t *request);
    int (*broadcast)(void *context, void *data, size_t size, uint64_t *request);

    /* Lets MPI work, and finds requests that are done: their places in the array go to finished, which has room for
     * count, and they become 0. No request of the array may be 0. */
    int (*test)(void *context, uint64_t *requests, int count, int *finished, int *finished_count);

    void (*describe)(void *context, int code, char text[AN_MPI_TEXT]);
} an_mpi;

typedef struct {
    uint32_t version; /* AN_MPI_MODULE_VERSION; stays the first member for ever */
    uint32_t size;    /* of an_mpi and an_mpi_place together: catches a change after which raising the version was
                         forgotten */
    const an_mpi *mpi;
} an_mpi_module;

#define AN_MPI_MODULE_SYMBOL "an_mpi_module_row"
extern const an_mpi_module an_mpi_module_row; /* in the module */

/* Loads the module and the library that it needs. AN_EUNSUPPORTED says what is missing and what to do about it. */
int an_mpi_load(const an_mpi **out);

/* an_group_open, with a table of the caller's choice: for tests and benchmarks. */
typedef struct {
    const an_mpi *mpi;
    int promised;    /* processes that the launcher started */
    double patience; /* seconds that rank 0 waits before it says whom for */
} an_group_inside;
int an_group_open_with(an_group **out, const an_group_options *options, const an_group_inside *inside);

#endif
