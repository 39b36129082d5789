#include "store/jpeg/header.h"

#include "base/error.h"

/* Blocks in the rows of a scan that libjpeg-turbo reads before it calls again. */
static uint64_t blocks_in_step(const struct jpeg_decompress_struct *reader)
{
    const jpeg_component_info *component = reader->cur_comp_info[0];
    if (reader->comps_in_scan == 1)
        return (uint64_t)component->width_in_blocks * (uint64_t)component->v_samp_factor;
    return (uint64_t)reader->MCUs_per_row * (uint64_t)reader->blocks_in_MCU;
}

/* libjpeg-turbo calls this before each row of MCUs of a file with several scans, and for every row of pixels. */
static void watch(j_common_ptr common)
{
    const struct jpeg_decompress_struct *reader = (const struct jpeg_decompress_struct *)common;
    an_jpeg_limits *limits = (an_jpeg_limits *)(void *)common->progress;
    if (reader->output_scanline > 0)
        return;
    if (reader->input_scan_number > AN_JPEG_SCANS_MAX)
        an_jpeg_escape(limits->errors, an_error(AN_ECORRUPT, "JPEG: more than %d scans", AN_JPEG_SCANS_MAX));
    limits->visits += blocks_in_step(reader) * (reader->arith_code ? AN_JPEG_VISIT_ARITHMETIC : 1);
    if (limits->visits > AN_JPEG_VISITS_MAX)
        an_jpeg_escape(limits->errors,
                       an_error(AN_EUNSUPPORTED,
                                "JPEG: decoding takes too long: %d scans of %u x %u pixels visit more than %d blocks",
                                reader->input_scan_number, reader->image_width, reader->image_height,
                                AN_JPEG_VISITS_MAX / (reader->arith_code ? AN_JPEG_VISIT_ARITHMETIC : 1)));
}

/* Stands in for the object's own function. A file has NUM_QUANT_TBLS and 2 * NUM_HUFF_TBLS tables at most. */
static void *allocate(j_common_ptr common, int pool, size_t size)
{
    an_jpeg_tables *tables = &((an_jpeg_limits *)(void *)common->progress)->tables;
    if (pool == JPOOL_PERMANENT && size == sizeof(JQUANT_TBL) && tables->quantisation_used < NUM_QUANT_TBLS)
        return &tables->quantisation[tables->quantisation_used++];
    if (pool == JPOOL_PERMANENT && size == sizeof(JHUFF_TBL) && tables->huffman_used < 2 * NUM_HUFF_TBLS)
        return &tables->huffman[tables->huffman_used++];
    return tables->alloc_small(common, pool, size);
}

/* What the file before has left in the object. libjpeg-turbo resets its part when it begins to read, which it does not
 * where there is nothing to read. */
static void forget_file(struct jpeg_decompress_struct *reader, an_jpeg_tables *tables)
{
    reader->comp_info = NULL;
    reader->coef_bits = NULL;
    reader->num_components = 0;
    reader->input_scan_number = 0;
    reader->unread_marker = 0;
    for (int i = 0; i < NUM_QUANT_TBLS; i++)
        reader->quant_tbl_ptrs[i] = NULL;
    for (int i = 0; i < NUM_HUFF_TBLS; i++)
        reader->dc_huff_tbl_ptrs[i] = reader->ac_huff_tbl_ptrs[i] = NULL;
    tables->quantisation_used = tables->huffman_used = 0;
}

void an_jpeg_begin(struct jpeg_decompress_struct *reader, an_jpeg_errors *errors, an_jpeg_limits *limits)
{
    reader->err = &errors->manager;
    jpeg_create_decompress(reader);
    limits->manager.progress_monitor = watch;
    limits->errors = errors;
    limits->tables.alloc_small = reader->mem->alloc_small;
    reader->progress = &limits->manager;
    reader->mem->alloc_small = allocate;
}

void an_jpeg_open(struct jpeg_decompress_struct *reader, an_jpeg_errors *errors, an_jpeg_limits *limits,
                  const uint8_t *data, size_t size)
{
    an_jpeg_errors_reset(errors);
    forget_file(reader, &limits->tables);
    limits->visits = 0;
    jpeg_mem_src(reader, data, size);
    /* TRUE makes a file without an image an error, so the result is always JPEG_HEADER_OK. */
    (void)jpeg_read_header(reader, TRUE);
}

void an_jpeg_close(struct jpeg_decompress_struct *reader)
{
    jpeg_abort_decompress(reader);
}

void an_jpeg_end(struct jpeg_decompress_struct *reader)
{
    jpeg_destroy_decompress(reader);
}
