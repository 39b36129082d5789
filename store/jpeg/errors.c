#include "store/jpeg/errors.h"

#include <ctype.h>

#include <jerror.h>

#include "base/error.h"

static an_jpeg_errors *errors_of(j_common_ptr jpeg)
{
    return (an_jpeg_errors *)(void *)jpeg->err;
}

static int code_of(int message)
{
    switch (message) {
    case JERR_OUT_OF_MEMORY:
        return AN_ENOMEM;
    case JERR_ARITH_NOTIMPL:
    case JERR_BAD_PRECISION:
    case JERR_CCIR601_NOTIMPL:
    case JERR_COMPONENT_COUNT:
    case JERR_CONVERSION_NOTIMPL:
    case JERR_FRACT_SAMPLE_NOTIMPL:
    case JERR_IMAGE_TOO_BIG:
    case JERR_NOT_COMPILED:
    case JERR_SOF_UNSUPPORTED:
        return AN_EUNSUPPORTED;
    default:
        return AN_ECORRUPT;
    }
}

/* The text of the present message, with a lower-case first letter as all our messages have, unless it is an acronym. */
static void format(j_common_ptr jpeg, char text[JMSG_LENGTH_MAX])
{
    jpeg->err->format_message(jpeg, text);
    if (islower((unsigned char)text[1]))
        text[0] = (char)tolower((unsigned char)text[0]);
}

static void on_error(j_common_ptr jpeg)
{
    char text[JMSG_LENGTH_MAX];
    format(jpeg, text);
    an_jpeg_escape(errors_of(jpeg), an_error(code_of(jpeg->err->msg_code), "JPEG: %s", text));
}

static void set_damage(j_common_ptr jpeg)
{
    an_jpeg_errors *errors = errors_of(jpeg);
    if (!errors->cut && errors->damage[0] == '\0') /* behind the end of the data, filler is decoded */
        format(jpeg, errors->damage);
}

static void judge_end_of_data(j_common_ptr jpeg, int marker)
{
    if (marker == JPEG_EOI)
        errors_of(jpeg)->cut = true;
    else
        set_damage(jpeg);
}

/* Only decoders warn. */
static void judge(j_common_ptr jpeg)
{
    an_jpeg_errors *errors = errors_of(jpeg);
    const struct jpeg_decompress_struct *reader = (const struct jpeg_decompress_struct *)jpeg;
    const int *values = jpeg->err->msg_parm.i;
    switch (jpeg->err->msg_code) {
    case JWRN_JFIF_MAJOR:
    case JWRN_ADOBE_XFORM:
    case JWRN_NOT_SEQUENTIAL:
        break;
    case JWRN_EXTRANEOUS_DATA: /* values: number of bytes, marker behind them */
        errors->surplus |= reader->input_scan_number > 0;
        if (values[1] >= JPEG_RST0 && values[1] <= JPEG_RST0 + 7)
            set_damage(jpeg);
        break;
    case JWRN_JPEG_EOF:
        errors->no_end = true;
        errors->cut |= reader->arith_code; /* its data may end anywhere, so nothing else would tell */
        break;
    case JWRN_HIT_MARKER:
        judge_end_of_data(jpeg, reader->unread_marker);
        break;
    case JWRN_MUST_RESYNC: /* values: marker found, number of the restart marker wanted */
        judge_end_of_data(jpeg, values[0]);
        break;
    default:
        set_damage(jpeg);
    }
}

static void on_message(j_common_ptr jpeg, int level)
{
    an_jpeg_errors *errors = errors_of(jpeg);
    if (level >= 0)
        return; /* a trace message */
    if (errors->warnings++ == 0)
        format(jpeg, errors->warning);
    judge(jpeg);
}

static void be_silent(j_common_ptr jpeg)
{
    (void)jpeg;
}

void an_jpeg_errors_init(an_jpeg_errors *errors)
{
    jpeg_std_error(&errors->manager);
    errors->manager.error_exit = on_error;
    errors->manager.emit_message = on_message;
    errors->manager.output_message = be_silent;
    an_jpeg_errors_reset(errors);
}

void an_jpeg_errors_reset(an_jpeg_errors *errors)
{
    errors->warnings = 0;
    errors->surplus = errors->no_end = errors->cut = false;
    errors->warning[0] = errors->damage[0] = '\0';
}

int an_jpeg_guard(an_jpeg_errors *errors, int (*work)(void *context), void *context)
{
    if (setjmp(errors->escape))
        return errors->code;
    return work(context);
}

void an_jpeg_escape(an_jpeg_errors *errors, int code)
{
    errors->code = code;
    longjmp(errors->escape, 1);
}
