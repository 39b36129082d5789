/* The table of engines. To add one, write its file with its functions, number it in reader.h, and add a row here, in
 * the order of the numbers; options, messages and tests take the names from here. */
#include <stddef.h>

#include "store/reader/engine_private.h"

/* engine, name, functions, engine where this one cannot work, opened with O_DIRECT, mapped, engine without O_DIRECT */
#define AN_READER_ENGINES(ROW)                                                                                         \
    ROW(AUTO, "auto", NULL, AUTO, false, false, AUTO)                                                                  \
    ROW(URING, "uring", &an_reader_uring_ops, PREAD, false, false, URING)                                              \
    ROW(URING_DIRECT, "uring-direct", &an_reader_uring_ops, PREAD, true, false, URING)                                 \
    ROW(PREAD, "pread", &an_reader_pread_ops, PREAD, false, false, PREAD)                                              \
    ROW(MMAP, "mmap", &an_reader_mmap_ops, MMAP, false, true, MMAP)

#define AS_ROW(engine, name, ops, instead, direct, mapped, buffered)                                                   \
    [AN_READER_##engine] = {name, ops, AN_READER_##instead, direct, mapped, AN_READER_##buffered},
#define AS_NAME(engine, name, ops, instead, direct, mapped, buffered) [AN_READER_##engine] = (name),

static const an_reader_engine_row rows[] = {AN_READER_ENGINES(AS_ROW)};

const char *const an_reader_engine_names[] = {AN_READER_ENGINES(AS_NAME) NULL};

size_t an_reader_engine_count(void)
{
    return sizeof rows / sizeof *rows;
}

const an_reader_engine_row *an_reader_engine_row_of(an_reader_engine engine)
{
    return (size_t)engine < an_reader_engine_count() ? &rows[engine] : NULL;
}

const char *an_reader_engine_name(an_reader_engine engine)
{
    const an_reader_engine_row *row = an_reader_engine_row_of(engine);
    return row ? row->name : "?";
}
