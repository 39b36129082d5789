#include "tools/show/canvas/palette.h"

static const an_palette_entry entries[AN_COLOURS] = {
    [AN_COLOUR_PAPER] = {"paper", 0xffffff, 0x14171d},
    [AN_COLOUR_PANEL] = {"panel", 0xf3f5f9, 0x1e222b},
    [AN_COLOUR_INK] = {"ink", 0x1f2430, 0xe8eaf0},
    [AN_COLOUR_MUTED] = {"muted", 0x5b6475, 0xa3abba},
    [AN_COLOUR_FAINT] = {"faint", 0xd9dde5, 0x363d4a},
    [AN_COLOUR_RIGHT] = {"right", 0x8fd0a8, 0x2c7a4f},
    [AN_COLOUR_WRONG] = {"wrong", 0xa9c6ec, 0x365f94},
    [AN_COLOUR_SERIES] = {"series0", 0x2f6fb5, 0x6aa9ee},
    {"series1", 0xd0702a, 0xf0a05a},
    {"series2", 0x2e8b6b, 0x5cc49c},
    {"series3", 0x7a55b0, 0xb494e6},
    {"series4", 0xb83c4b, 0xef7f8a},
    {"series5", 0x1f8a99, 0x5cc6d4},
    {"series6", 0x8a6d1f, 0xd1b25a},
    {"series7", 0x5b6475, 0xa3abba},
    {"series8", 0xd163a7, 0xf3a3d0},
    {"series9", 0x7a9a01, 0xb9d84a},
    {"series10", 0x1b2a6b, 0xcfd6ff},
    {"series11", 0x8b4a2b, 0xd9a184},
};

an_colour an_palette_series(int number)
{
    return (an_colour)(AN_COLOUR_SERIES + number % AN_PALETTE_SERIES);
}

const an_palette_entry *an_palette(an_colour colour)
{
    return &entries[colour];
}
