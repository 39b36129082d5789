/* A module of another version, whose functions must not be called. */
#include "model/backend_module.h"

const an_backend_module an_backend_module_row = {.version = AN_TEST_VERSION,
                                                 .shared = sizeof(an_backend_shared) + AN_TEST_MORE};
