#include "store/image/planes/blocks.h"

const uint8_t an_blocks_zigzag[64] = {AN_BLOCKS_ZIGZAG};

static uint32_t divide_up(uint32_t a, uint32_t b)
{
    return (a + b - 1) / b;
}

static void set_component(an_blocks_component *component, uint32_t width, uint32_t height, uint32_t rows_per_mcu)
{
    *component = (an_blocks_component){.blocks_wide = divide_up(width, 8),
                                       .blocks_high = divide_up(height, 8),
                                       .samples_wide = width,
                                       .samples_high = height,
                                       .rows_per_mcu = rows_per_mcu};
}

void an_blocks_init(an_blocks *blocks, uint32_t width, uint32_t height, an_sampling sampling)
{
    *blocks = (an_blocks){
        .width = width, .height = height, .sampling = sampling, .components = sampling == AN_SAMPLING_GREY ? 1 : 3};
    uint32_t across = an_blocks_halved_wide(blocks) ? 2 : 1, down = an_blocks_halved_high(blocks) ? 2 : 1;
    blocks->mcu_rows = divide_up(height, 8 * down);
    set_component(&blocks->component[0], width, height, down);
    for (int c = 1; c < blocks->components; c++)
        set_component(&blocks->component[c], divide_up(width, across), divide_up(height, down), 1);
    for (int c = 0; c < blocks->components; c++)
        blocks->block_rows += blocks->component[c].blocks_high;
}

uint32_t an_blocks_rows_in_mcu(const an_blocks_component *component, uint32_t mcu_row)
{
    uint32_t left = component->blocks_high - mcu_row * component->rows_per_mcu;
    return left < component->rows_per_mcu ? left : component->rows_per_mcu;
}
