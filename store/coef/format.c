#include "store/coef/format.h"

#include "base/bytes.h"
#include "base/error.h"
#include "store/coef/coef.h"

int an_coef_info_read(const uint8_t *payload, size_t size, an_coef_info *info)
{
    if (size < AN_COEF_HEADER + AN_COEF_PADDING)
        return an_error(AN_ECORRUPT, "coef payload is truncated: %zu bytes", size);
    if (payload[0] != AN_COEF_VERSION)
        return an_error(AN_EUNSUPPORTED, "coef payload has version %d, this program reads version %d", payload[0],
                        AN_COEF_VERSION);
    *info = (an_coef_info){.width = an_bytes_u16(payload + 4), .height = an_bytes_u16(payload + 6)};
    info->sampling = (an_sampling)payload[1];
    uint32_t tables = payload[2];
    if (payload[1] > AN_SAMPLING_420 || payload[3] != 0 || tables < 1 ||
        tables > (info->sampling == AN_SAMPLING_GREY ? 1 : 3))
        return an_error(AN_ECORRUPT, "coef payload has a damaged header");
    if (info->width < 1 || info->height < 1 || info->width > AN_IMAGE_SIDE_MAX || info->height > AN_IMAGE_SIDE_MAX)
        return an_error(AN_ECORRUPT, "coef payload has an impossible size: %u x %u", info->width, info->height);
    return AN_OK;
}

/* The parts of the payload; false when it is too short for them. */
static bool find_parts(an_coef_layout *layout, const uint8_t *payload, size_t size)
{
    an_blocks *blocks = &layout->blocks;
    size_t fixed = AN_COEF_HEADER + 64 * (size_t)layout->tables + 2 * (size_t)blocks->block_rows;
    if (size < fixed + AN_COEF_PADDING)
        return false;
    for (int c = 0; c < blocks->components; c++) {
        uint32_t table = (uint32_t)c < layout->tables ? (uint32_t)c : layout->tables - 1;
        blocks->component[c].quantisation = payload + AN_COEF_HEADER + 64 * (size_t)table;
    }
    layout->lengths = payload + AN_COEF_HEADER + 64 * (size_t)layout->tables;
    layout->rows = payload + fixed;
    layout->end = payload + size - AN_COEF_PADDING;
    return true;
}

/* Each block takes at least a byte and a half. Checking that here means that a short payload which claims a huge image
 * is refused before memory for the image is allocated. */
static size_t least_size(const an_blocks *blocks)
{
    size_t least = 0;
    for (int c = 0; c < blocks->components; c++) {
        size_t wide = blocks->component[c].blocks_wide;
        least += blocks->component[c].blocks_high * (wide + (wide + 1) / 2);
    }
    return least;
}

int an_coef_layout_parse(an_coef_layout *layout, const uint8_t *payload, size_t size)
{
    an_coef_info info;
    int rc = an_coef_info_read(payload, size, &info);
    if (rc)
        return rc;
    *layout = (an_coef_layout){.tables = payload[2]};
    an_blocks_init(&layout->blocks, info.width, info.height, info.sampling);
    if (!find_parts(layout, payload, size))
        return an_error(AN_ECORRUPT, "coef payload is truncated: %zu bytes", size);
    size_t sum = 0, rows = (size_t)(layout->end - layout->rows);
    for (uint32_t r = 0; r < layout->blocks.block_rows; r++)
        sum += an_bytes_u16(layout->lengths + 2 * (size_t)r);
    if (sum != rows || sum < least_size(&layout->blocks))
        return an_error(AN_ECORRUPT, "coef payload is damaged: rows of %zu bytes where %zu are announced", rows, sum);
    return AN_OK;
}
