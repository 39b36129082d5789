#include "train/watch/hparams.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "train/state/text.h"
#include "train/watch/wire.h"

/* Numbers of fields, from tensorboard/plugins/hparams/plugin_data.proto and google/protobuf/struct.proto. A message's
 * version is 0, which is not written. */
enum { DATA_START = 3, DATA_END = 4 };
enum { START_HPARAMS = 1, START_TIME = 5, END_STATUS = 1, END_TIME = 2, STATUS_SUCCESS = 1 };
enum { ENTRY_KEY = 1, ENTRY_VALUE = 2, VALUE_NUMBER = 2, VALUE_STRING = 3, VALUE_BOOL = 4 };

/* text: the value as a recipe has it. */
static void put_value(int *rc, an_buffer *out, const char *text)
{
    char *end;
    double number = strtod(text, &end);
    if (*text && !*end)
        an_wire_double(rc, out, VALUE_NUMBER, number);
    else if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0)
        an_wire_unsigned(rc, out, VALUE_BOOL, strcmp(text, "true") == 0);
    else
        an_wire_text(rc, out, VALUE_STRING, text);
}

static void put_line(int *rc, an_buffer *out, const an_recipe_line *line)
{
    an_buffer entry = {0}, value = {0};
    char *text = an_text_escape(line->value, line->value_length); /* strings of Protobuf are UTF-8 */
    if (!text && !*rc)
        *rc = an_error(AN_ENOMEM, "out of memory for TensorBoard events");
    if (!*rc)
        put_value(rc, &value, text);
    an_wire_bytes(rc, &entry, ENTRY_KEY, line->name, line->name_length);
    an_wire_bytes(rc, &entry, ENTRY_VALUE, value.data, value.size);
    an_wire_bytes(rc, out, START_HPARAMS, entry.data, entry.size);
    an_buffer_free(&entry);
    an_buffer_free(&value);
    free(text);
}

/* Writes message as the field of the plugin's data, and frees it. */
static int write_data(an_tensorboard *board, int rc, uint64_t step, const char *tag, int field, an_buffer *message)
{
    an_buffer data = {0};
    an_wire_bytes(&rc, &data, field, message->data, message->size);
    if (!rc)
        rc = an_tensorboard_plugin(board, step, tag, "hparams", &data);
    an_buffer_free(&data);
    an_buffer_free(message);
    return rc;
}

int an_hparams_start(an_tensorboard *board, uint64_t step, uint64_t time_ns, const an_train_start *start)
{
    int rc = AN_OK;
    an_buffer message = {0};
    const char *at = start->recipe;
    for (an_recipe_line line; an_recipe_next(&at, &line);)
        put_line(&rc, &message, &line);
    an_wire_double(&rc, &message, START_TIME, (double)time_ns * 1e-9);
    return write_data(board, rc, step, "_hparams_/session_start_info", DATA_START, &message);
}

int an_hparams_end(an_tensorboard *board, uint64_t step, uint64_t time_ns)
{
    int rc = AN_OK;
    an_buffer message = {0};
    an_wire_unsigned(&rc, &message, END_STATUS, STATUS_SUCCESS);
    an_wire_double(&rc, &message, END_TIME, (double)time_ns * 1e-9);
    return write_data(board, rc, step, "_hparams_/session_end_info", DATA_END, &message);
}
