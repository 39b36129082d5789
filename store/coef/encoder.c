#include "store/coef/encoder_private.h"

#include <stdlib.h>

#include "base/error.h"

static int create(void *context)
{
    an_coef_encoder *e = context;
    an_jpeg_begin(&e->reader, &e->errors, &e->limits);
    jpeg_create_compress(&e->writer);
    return AN_OK;
}

int an_coef_encoder_create(an_coef_encoder **out)
{
    *out = NULL;
    an_coef_encoder *e = calloc(1, sizeof *e);
    if (!e)
        return an_error(AN_ENOMEM, "out of memory");
    an_jpeg_errors_init(&e->errors);
    e->writer.err = &e->errors.manager;
    e->writer.client_data = e;
    an_coef_packer_init(&e->packer, an_cpu_simd());
    int rc = an_jpeg_guard(&e->errors, create, e);
    if (!rc)
        rc = an_jpeg_scan_create(&e->scan);
    if (rc) {
        an_coef_encoder_free(e);
        return rc;
    }
    an_coef_set_destination(e);
    *out = e;
    return AN_OK;
}

void an_coef_encoder_free(an_coef_encoder *encoder)
{
    if (!encoder)
        return;
    an_jpeg_end(&encoder->reader);
    jpeg_destroy_compress(&encoder->writer);
    an_buffer_free(&encoder->jpeg);
    an_jpeg_scan_free(encoder->scan);
    an_coef_packer_free(&encoder->packer);
    an_buffer_free(&encoder->mcu_row);
    free(encoder->work.dc);
    free(encoder->work.values);
    free(encoder->work.coefficients);
    free(encoder);
}
