/* The module: MPI's side of train/group/mpi_module.h. */
#include <mpi.h>

#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "train/group/mpi_module.h"

_Static_assert(sizeof(MPI_Request) <= sizeof(uint64_t), "a request must fit into its number");

#define TESTED 256 /* requests that one call of test looks at */

/* One more than those of the messages: collectives have one of their own. */
static MPI_Comm channels[AN_MPI_CHANNELS], collective;

static uint64_t number_of(MPI_Request request)
{
    uint64_t number = 0;
    memcpy(&number, &request, sizeof request);
    return number;
}

static MPI_Request request_of(uint64_t number)
{
    MPI_Request request;
    memcpy(&request, &number, sizeof request);
    return request;
}

/* A communicator of our own, whose errors come back as codes. */
static int open_channel(MPI_Comm *out)
{
    int code = MPI_Comm_dup(MPI_COMM_WORLD, out);
    if (code)
        return code;
    return MPI_Comm_set_errhandler(*out, MPI_ERRORS_RETURN);
}

static int open_channels(void)
{
    int code = MPI_Comm_set_errhandler(MPI_COMM_WORLD, MPI_ERRORS_RETURN);
    if (code)
        return code;
    code = MPI_Comm_set_errhandler(MPI_COMM_SELF, MPI_ERRORS_RETURN);
    for (int i = 0; i < AN_MPI_CHANNELS && !code; i++)
        code = open_channel(&channels[i]);
    return code ? code : open_channel(&collective);
}

static int find_node(an_mpi_place *out)
{
    MPI_Comm shared;
    int code = MPI_Comm_split_type(MPI_COMM_WORLD, MPI_COMM_TYPE_SHARED, 0, MPI_INFO_NULL, &shared);
    if (code)
        return code;
    code = MPI_Allreduce(&out->rank, &out->node, 1, MPI_INT, MPI_MIN, shared);
    if (code)
        return code;
    return MPI_Comm_free(&shared);
}

/* From "Open MPI v4.1.4, package: ..." or "MPICH Version:\t4.0.2\n..." to a name and a version. */
static void name_library(char out[AN_MPI_TEXT])
{
    char text[MPI_MAX_LIBRARY_VERSION_STRING] = "", name[64] = "", version[64] = "";
    int length;
    (void)MPI_Get_library_version(text, &length); /* for logs only */
    text[strcspn(text, ",\n")] = '\0';
    if (sscanf(text, "%63[^0-9]%63s", name, version) < 2) {
        snprintf(out, AN_MPI_TEXT, "%.*s", AN_MPI_TEXT - 1, text);
        return;
    }
    name[strcspn(name, "\t")] = '\0';
    char *word = strstr(name, " Version");
    if (!word)
        word = strstr(name, " v");
    if (word)
        *word = '\0';
    snprintf(out, AN_MPI_TEXT, "%s %s", name, version);
}

static int find_place(an_mpi_place *out)
{
    int length, found, *tag_max;
    char host[MPI_MAX_PROCESSOR_NAME] = "";
    int code = MPI_Comm_rank(MPI_COMM_WORLD, &out->rank);
    if (code)
        return code;
    code = MPI_Comm_size(MPI_COMM_WORLD, &out->world);
    if (code)
        return code;
    code = MPI_Get_processor_name(host, &length);
    if (code)
        return code;
    snprintf(out->host, sizeof out->host, "%.*s", AN_MPI_TEXT - 1, host);
    code = MPI_Comm_get_attr(MPI_COMM_WORLD, MPI_TAG_UB, &tag_max, &found);
    if (code)
        return code;
    out->tag_max = found ? *tag_max : 32767; /* what the standard promises */
    name_library(out->library);
    return find_node(out);
}

static int begin(void *context, an_mpi_place *out)
{
    (void)context;
    int provided;
    int code = MPI_Init_thread(NULL, NULL, MPI_THREAD_FUNNELED, &provided);
    if (code)
        return code;
    if (provided < MPI_THREAD_FUNNELED)
        return MPI_ERR_UNSUPPORTED_OPERATION;
    code = open_channels();
    return code ? code : find_place(out);
}

static int end(void *context)
{
    (void)context;
    int code = MPI_Comm_free(&collective);
    for (int i = 0; i < AN_MPI_CHANNELS && !code; i++)
        code = MPI_Comm_free(&channels[i]);
    return code ? code : MPI_Finalize();
}

static int send(void *context, an_mpi_channel channel, const void *data, size_t size, int rank, int tag,
                uint64_t *request)
{
    (void)context;
    MPI_Request made = MPI_REQUEST_NULL;
    int code = MPI_Isend(data, (int)size, MPI_BYTE, rank, tag, channels[channel], &made);
    *request = number_of(made);
    return code;
}

static int receive(void *context, an_mpi_channel channel, void *data, size_t size, int rank, int tag, uint64_t *request)
{
    (void)context;
    MPI_Request made = MPI_REQUEST_NULL;
    int code = MPI_Irecv(data, (int)size, MPI_BYTE, rank, tag, channels[channel], &made);
    *request = number_of(made);
    return code;
}

static int gather(void *context, const void *own, size_t size, void *all, uint64_t *request)
{
    (void)context;
    MPI_Request made = MPI_REQUEST_NULL;
    int code = MPI_Iallgather(own, (int)size, MPI_BYTE, all, (int)size, MPI_BYTE, collective, &made);
    *request = number_of(made);
    return code;
}

static int broadcast(void *context, void *data, size_t size, uint64_t *request)
{
    (void)context;
    MPI_Request made = MPI_REQUEST_NULL;
    int code = MPI_Ibcast(data, (int)size, MPI_BYTE, 0, collective, &made);
    *request = number_of(made);
    return code;
}

/* The code of the first request that failed. */
static int failure_of(const MPI_Status *statuses, int count)
{
    for (int i = 0; i < count; i++) {
        if (statuses[i].MPI_ERROR && statuses[i].MPI_ERROR != MPI_ERR_PENDING)
            return statuses[i].MPI_ERROR;
    }
    return MPI_ERR_OTHER;
}

static int test_some(uint64_t *requests, int count, int *finished, int *finished_count)
{
    MPI_Request tested[TESTED];
    MPI_Status statuses[TESTED];
    for (int i = 0; i < count; i++)
        tested[i] = request_of(requests[i]);
    *finished_count = 0;
    int code = MPI_Testsome(count, tested, finished_count, finished, statuses);
    if (*finished_count == MPI_UNDEFINED)
        *finished_count = 0;
    if (code == MPI_ERR_IN_STATUS)
        code = failure_of(statuses, *finished_count);
    for (int i = 0; i < *finished_count; i++)
        requests[finished[i]] = 0;
    return code;
}

static int test(void *context, uint64_t *requests, int count, int *finished, int *finished_count)
{
    (void)context;
    *finished_count = 0;
    for (int first = 0; first < count; first += TESTED) {
        int found, *places = finished + *finished_count;
        int code = test_some(requests + first, count - first < TESTED ? count - first : TESTED, places, &found);
        if (code)
            return code;
        for (int i = 0; i < found; i++)
            places[i] += first;
        *finished_count += found;
    }
    return 0;
}

static void describe(void *context, int code, char text[AN_MPI_TEXT])
{
    (void)context;
    char words[MPI_MAX_ERROR_STRING] = "";
    int length;
    if (MPI_Error_string(code, words, &length))
        snprintf(words, sizeof words, "code %d", code);
    snprintf(text, AN_MPI_TEXT, "%.*s", AN_MPI_TEXT - 1, words);
}

static const an_mpi table = {.begin = begin,
                             .end = end,
                             .send = send,
                             .receive = receive,
                             .gather = gather,
                             .broadcast = broadcast,
                             .test = test,
                             .describe = describe};

const an_mpi_module an_mpi_module_row = {
    .version = AN_MPI_MODULE_VERSION, .size = sizeof(an_mpi) + sizeof(an_mpi_place), .mpi = &table};
