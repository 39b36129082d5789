#include "store/coef/format.h"

#include <string.h>

#include "base/bytes.h"
#include "base/error.h"

const uint8_t an_coef_zigzag[64] = {AN_COEF_ZIGZAG};

static uint32_t divide_up(uint32_t a, uint32_t b)
{
    return (a + b - 1) / b;
}

static void set_component(an_coef_component *component, uint32_t width, uint32_t height, uint32_t rows_per_mcu)
{
    *component = (an_coef_component){.blocks_wide = divide_up(width, 8),
                                     .blocks_high = divide_up(height, 8),
                                     .samples_wide = width,
                                     .samples_high = height,
                                     .rows_per_mcu = rows_per_mcu};
}

void an_coef_layout_set(an_coef_layout *layout, const an_coef_info *info)
{
    uint32_t h = info->sampling == AN_COEF_422 || info->sampling == AN_COEF_420 ? 2 : 1;
    uint32_t v = info->sampling == AN_COEF_420 ? 2 : 1;
    *layout = (an_coef_layout){.info = *info, .components = info->sampling == AN_COEF_GREY ? 1 : 3};
    layout->mcu_rows = divide_up(info->height, 8 * v);
    set_component(&layout->component[0], info->width, info->height, v);
    for (int c = 1; c < layout->components; c++)
        set_component(&layout->component[c], divide_up(info->width, h), divide_up(info->height, v), 1);
    for (int c = 0; c < layout->components; c++)
        layout->block_rows += layout->component[c].blocks_high;
}

uint32_t an_coef_mcu_row_blocks(const an_coef_component *component, uint32_t mcu_row)
{
    uint32_t left = component->blocks_high - mcu_row * component->rows_per_mcu;
    return left < component->rows_per_mcu ? left : component->rows_per_mcu;
}

int an_coef_info_read(const uint8_t *payload, size_t size, an_coef_info *info)
{
    if (size < AN_COEF_HEADER + AN_COEF_PADDING)
        return an_error(AN_ECORRUPT, "coef payload is truncated: %zu bytes", size);
    if (payload[0] != AN_COEF_VERSION)
        return an_error(AN_EUNSUPPORTED, "coef payload has version %d, this program reads version %d", payload[0],
                        AN_COEF_VERSION);
    *info = (an_coef_info){.width = an_bytes_u16(payload + 4), .height = an_bytes_u16(payload + 6)};
    info->sampling = (an_coef_sampling)payload[1];
    uint32_t tables = payload[2];
    if (payload[1] > AN_COEF_420 || payload[3] != 0 || tables < 1 || tables > (info->sampling == AN_COEF_GREY ? 1 : 3))
        return an_error(AN_ECORRUPT, "coef payload has a damaged header");
    if (info->width < 1 || info->height < 1 || info->width > AN_IMAGE_SIDE_MAX || info->height > AN_IMAGE_SIDE_MAX)
        return an_error(AN_ECORRUPT, "coef payload has an impossible size: %u x %u", info->width, info->height);
    return AN_OK;
}

int an_coef_layout_parse(an_coef_layout *layout, const uint8_t *payload, size_t size)
{
    an_coef_info info;
    int rc = an_coef_info_read(payload, size, &info);
    if (rc != AN_OK)
        return rc;
    an_coef_layout_set(layout, &info);
    layout->tables = payload[2];
    size_t fixed = AN_COEF_HEADER + 64 * (size_t)layout->tables + 2 * (size_t)layout->block_rows;
    if (size < fixed + AN_COEF_PADDING)
        return an_error(AN_ECORRUPT, "coef payload is truncated: %zu bytes", size);
    for (int c = 0; c < layout->components; c++) {
        uint32_t table = (uint32_t)c < layout->tables ? (uint32_t)c : layout->tables - 1;
        layout->component[c].quantisation = payload + AN_COEF_HEADER + 64 * (size_t)table;
    }
    layout->lengths = payload + AN_COEF_HEADER + 64 * (size_t)layout->tables;
    layout->rows = payload + fixed;
    layout->end = payload + size - AN_COEF_PADDING;
    size_t sum = 0, least = 0;
    for (int c = 0; c < layout->components;
         c++) { /* each block has a byte and a half: memory for it is not asked too early */
        size_t wide = layout->component[c].blocks_wide;
        least += layout->component[c].blocks_high * (wide + (wide + 1) / 2);
    }
    for (uint32_t r = 0; r < layout->block_rows; r++)
        sum += an_bytes_u16(layout->lengths + 2 * (size_t)r);
    if (sum != (size_t)(layout->end - layout->rows) || sum < least)
        return an_error(AN_ECORRUPT, "coef payload is damaged: rows of %zu bytes where %zu are announced",
                        (size_t)(layout->end - layout->rows), sum);
    return AN_OK;
}
