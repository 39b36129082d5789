/* The module's side of augment/decoder_module.h. The decoder's sources call functions of the program by their names;
 * here they are passed on. Linked only into the module: a program that links the decoder itself has the functions. */
#include <stdarg.h>
#include <stdio.h>

#include "augment/cuda/decoder_cuda.h"
#include "base/error.h"

static const an_decoder_host *host;

int an_error(int code, const char *format, ...)
{
    char text[AN_ERROR_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return host->error(code, "%s", text);
}

static const an_decoder_api *begin(const an_decoder_host *program)
{
    host = program;
    return &an_decoder_cuda;
}

const an_decoder_module an_decoder_module_row = {
    .version = AN_DECODER_MODULE_VERSION, .shared = sizeof(an_decoder_shared), .begin = begin};
