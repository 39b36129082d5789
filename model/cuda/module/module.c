/* The module's side of model/backend_module.h. The backend's sources call functions of base and model by their names;
 * here each of them is passed on to the program's. Linked only into the module: a program that links the backend
 * itself has the functions. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "model/backend_module.h"

static const an_backend_host *host;

int an_error(int code, const char *format, ...)
{
    char text[AN_ERROR_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return host->error(code, "%s", text);
}

int an_error_prefix(int code, const char *format, ...)
{
    char text[AN_ERROR_MAX];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    return host->error_prefix(code, "%s", text);
}

const char *an_error_message(void)
{
    return host->error_message();
}

int an_buffer_printf(an_buffer *buffer, const char *format, ...)
{
    char *text;
    va_list arguments;
    va_start(arguments, format);
    int size = vasprintf(&text, format, arguments);
    va_end(arguments);
    if (size < 0)
        return an_error(AN_ENOMEM, "out of memory");
    int rc = host->buffer_printf(buffer, "%s", text);
    free(text);
    return rc;
}

an_rng an_rng_make(uint64_t seed, an_rng_purpose purpose, uint64_t epoch, uint64_t index)
{
    return host->rng_make(seed, purpose, epoch, index);
}

const an_kind *an_kind_find(an_op_kind kind)
{
    return host->kind_find(kind);
}

const char *an_op_name(an_op_kind kind)
{
    return host->op_name(kind);
}

const an_choice *an_choices_find(an_choices *choices, const char *key)
{
    return host->choices_find(choices, key);
}

int an_choices_replace(an_choices *choices, const an_choice *choice)
{
    return host->choices_replace(choices, choice);
}

static const an_backend_api *begin(const an_backend_host *program)
{
    host = program;
    return &an_backend_cuda;
}

const an_backend_module an_backend_module_row = {
    .version = AN_BACKEND_MODULE_VERSION, .shared = sizeof(an_backend_shared), .begin = begin};
