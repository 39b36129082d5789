/* A module that belongs to another version: AN_TEST_VERSION and AN_TEST_MORE, bytes by which what is shared has grown.
 */
#include "augment/decoder_module.h"

const an_decoder_module an_decoder_module_row = {.version = AN_TEST_VERSION,
                                                 .shared = sizeof(an_decoder_shared) + AN_TEST_MORE};
