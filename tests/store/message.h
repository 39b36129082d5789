/* Error messages are part of the interface. Include after cmocka.h. */
#ifndef AN_TESTS_STORE_MESSAGE_H
#define AN_TESTS_STORE_MESSAGE_H

#include <string.h>

#include "base/error.h"

/* This thread's last message contains part. */
#define assert_message(part)                                                                                           \
    do {                                                                                                               \
        if (!strstr(an_error_message(), part))                                                                         \
            fail_msg("message '%s' lacks '%s'", an_error_message(), part);                                             \
    } while (0)

#endif
