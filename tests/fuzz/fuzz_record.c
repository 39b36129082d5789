/* A record as it comes from a file: header, checksums, and when they hold, the pixels. */
#include "base/error.h"
#include "store/codec.h"
#include "store/record.h"

enum { SIDE = 256 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static an_decoder *decoder;
    static uint8_t out[SIDE * SIDE * 3];
    an_record record;
    if (!decoder && an_decoder_create(&decoder))
        __builtin_trap();
    if (an_record_parse(data, size, &record) || an_record_verify(&record))
        return 0;
    const an_record_header *h = &record.header;
    if (h->width <= SIDE && h->height <= SIDE)
        (void)an_decoder_window(decoder, &record, 0, 0, h->width, h->height, out, (size_t)h->width * 3);
    return 0;
}
