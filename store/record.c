#include "store/record.h"

#include <string.h>

#include <xxhash.h>

#include "base/bytes.h"
#include "base/error.h"
#include "store/image/image.h"
#include "store/record_copy_private.h"

enum { OFFSET_CHECK = 28 }; /* the header checksum covers everything before it */

static const uint8_t record_magic[4] = {'A', 'N', 'R', 'C'};

void an_record_header_write(an_record_header *header, const uint8_t *payload, uint8_t out[AN_RECORD_HEADER_SIZE])
{
    header->checksum = XXH3_64bits(payload, header->length);
    memcpy(out, record_magic, sizeof(record_magic));
    out[4] = AN_RECORD_VERSION;
    out[5] = (uint8_t)header->codec;
    out[6] = out[7] = 0;
    out[8] = (uint8_t)header->width;
    out[9] = (uint8_t)(header->width >> 8);
    out[10] = (uint8_t)header->height;
    out[11] = (uint8_t)(header->height >> 8);
    an_bytes_put_u32(out + 12, header->label);
    an_bytes_put_u64(out + 16, header->checksum);
    an_bytes_put_u32(out + 24, header->length);
    an_bytes_put_u32(out + OFFSET_CHECK, (uint32_t)XXH3_64bits(out, OFFSET_CHECK));
}

static int check_header(const uint8_t *bytes)
{
    if (memcmp(bytes, record_magic, sizeof(record_magic)) != 0)
        return an_error(AN_ECORRUPT, "not a record: wrong magic");
    if (an_bytes_u32(bytes + OFFSET_CHECK) != (uint32_t)XXH3_64bits(bytes, OFFSET_CHECK))
        return an_error(AN_ECORRUPT, "damaged record header: checksum differs");
    if (bytes[4] != AN_RECORD_VERSION)
        return an_error(AN_EUNSUPPORTED, "record version %d: this program reads version %d", bytes[4],
                        AN_RECORD_VERSION);
    if (!an_codec_known(bytes[5]))
        return an_error(AN_EUNSUPPORTED, "record of unknown codec %d", bytes[5]);
    if (an_bytes_u16(bytes + 6) != 0)
        return an_error(AN_EUNSUPPORTED, "record with unknown flags %04x", (unsigned)an_bytes_u16(bytes + 6));
    return AN_OK;
}

int an_record_parse(const uint8_t *bytes, size_t size, an_record *out)
{
    if (size < AN_RECORD_HEADER_SIZE)
        return an_error(AN_ECORRUPT, "record of %zu bytes: shorter than its header", size);
    int rc = check_header(bytes);
    if (rc)
        return rc;
    an_record_header *header = &out->header;
    header->codec = (an_codec)bytes[5];
    header->width = an_bytes_u16(bytes + 8);
    header->height = an_bytes_u16(bytes + 10);
    header->label = an_bytes_u32(bytes + 12);
    header->checksum = an_bytes_u64(bytes + 16);
    header->length = an_bytes_u32(bytes + 24);
    out->payload = bytes + AN_RECORD_HEADER_SIZE;
    if (header->width == 0 || header->height == 0 || header->width > AN_IMAGE_SIDE_MAX ||
        header->height > AN_IMAGE_SIDE_MAX)
        return an_error(AN_ECORRUPT, "record of impossible size %ux%u", header->width, header->height);
    if (header->length == 0 || header->length > AN_RECORD_PAYLOAD_MAX || header->length != size - AN_RECORD_HEADER_SIZE)
        return an_error(AN_ECORRUPT, "record payload of %u bytes where %zu are stored", header->length,
                        size - AN_RECORD_HEADER_SIZE);
    return AN_OK;
}

int an_record_damaged(void)
{
    return an_error(AN_ECORRUPT, "damaged record payload: checksum differs");
}

int an_record_verify(const an_record *record)
{
    bool same = XXH3_64bits(record->payload, record->header.length) == record->header.checksum;
    return same ? AN_OK : an_record_damaged();
}
