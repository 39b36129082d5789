/* The declarations of NCCL's functions against its header, and the loader with the real library. Where there is no
 * header (AN_NCCL_INCLUDE), or no library, this is skipped. Nothing here needs a GPU. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include <nccl.h>

#include "base/error.h"
#include "train/group/nccl_private.h"

/* What the header says of a function, with its own types. */
#define IS(function, ...)                                                                                              \
    _Static_assert(__builtin_types_compatible_p(__typeof__(function), __VA_ARGS__), #function " is another function")

IS(ncclGetVersion, ncclResult_t(int *));
IS(ncclGetUniqueId, ncclResult_t(ncclUniqueId *));
IS(ncclCommInitRank, ncclResult_t(ncclComm_t *, int, ncclUniqueId, int));
IS(ncclCommGetAsyncError, ncclResult_t(ncclComm_t, ncclResult_t *));
IS(ncclCommAbort, ncclResult_t(ncclComm_t));
IS(ncclCommDestroy, ncclResult_t(ncclComm_t));
IS(ncclAllReduce, ncclResult_t(const void *, void *, size_t, ncclDataType_t, ncclRedOp_t, ncclComm_t, cudaStream_t));
IS(ncclGroupStart, ncclResult_t(void));
IS(ncclGroupEnd, ncclResult_t(void));
IS(ncclGetErrorString, const char *(ncclResult_t));
IS(ncclGetLastError, const char *(ncclComm_t));

/* That our types stand for those types. */
_Static_assert(sizeof(an_nccl_id) == sizeof(ncclUniqueId), "id");
_Static_assert(_Alignof(an_nccl_id) == _Alignof(ncclUniqueId), "place of an id");
_Static_assert(sizeof(an_nccl_result) == sizeof(ncclResult_t), "result");
_Static_assert(sizeof(an_nccl_dtype) == sizeof(ncclDataType_t), "types of values");
_Static_assert(sizeof(an_nccl_op) == sizeof(ncclRedOp_t), "operations");
_Static_assert(sizeof(ncclComm_t) == sizeof(an_nccl_comm *), "communicators");
_Static_assert(sizeof(cudaStream_t) == sizeof(void *), "streams");
_Static_assert((int)AN_NCCL_SUCCESS == (int)ncclSuccess && (int)AN_NCCL_CUDA_ERROR == (int)ncclUnhandledCudaError &&
                   (int)AN_NCCL_SYSTEM_ERROR == (int)ncclSystemError &&
                   (int)AN_NCCL_INVALID_ARGUMENT == (int)ncclInvalidArgument &&
                   (int)AN_NCCL_INVALID_USAGE == (int)ncclInvalidUsage &&
                   (int)AN_NCCL_REMOTE_ERROR == (int)ncclRemoteError && (int)AN_NCCL_IN_PROGRESS == (int)ncclInProgress,
               "results");
_Static_assert((int)AN_NCCL_FLOAT32 == (int)ncclFloat32 && (int)AN_NCCL_SUM == (int)ncclSum, "values");

static const an_nccl *nccl;

static void test_the_library_is_that_of_the_header(void **state)
{
    (void)state;
    char expected[AN_NCCL_TEXT], name[AN_NCCL_TEXT];
    an_nccl_name(nccl->version, name);
    snprintf(expected, sizeof expected, "NCCL %d.%d.%d", NCCL_MAJOR, NCCL_MINOR, NCCL_PATCH);
    assert_string_equal(name, expected);
    assert_int_equal(nccl->version, NCCL_VERSION_CODE);
    assert_string_equal(nccl->GetErrorString(AN_NCCL_SUCCESS), "no error");
}

/* A function that takes an argument by value, and one that fails. */
static void test_functions_are_called(void **state)
{
    (void)state;
    an_nccl_comm *comm = NULL;
    an_nccl_id id = {{0}};
    assert_int_equal(nccl->GroupStart(), AN_NCCL_SUCCESS);
    assert_int_equal(nccl->GroupEnd(), AN_NCCL_SUCCESS);
    an_nccl_result result = nccl->CommInitRank(&comm, 1, id, 2); /* rank 2 of 1 */
    assert_int_not_equal(result, AN_NCCL_SUCCESS);
    assert_null(comm);
    assert_int_equal(an_nccl_failed(nccl, result, "rank 2"), AN_EINTERNAL);
    assert_memory_equal(an_error_message(), "rank 2: NCCL 2.", 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_the_library_is_that_of_the_header),
        cmocka_unit_test(test_functions_are_called),
    };
    if (an_nccl_load(&nccl)) {
        fprintf(stderr, "%s\n", an_error_message());
        return 77;
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
