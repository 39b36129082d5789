/* Stands for one of NVIDIA's libraries by its name; everything in it is the emulator's. */
extern const char an_emu_library[];
const char an_emu_library[] = "emulator";
