#include "tests/ingest/fixture.h"

#include <archive.h>
#include <archive_entry.h>
#include <ftw.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/file.h"
#include "base/png.h"
#include "base/rng.h"

void fixture_open(fixture *f)
{
    const char *base = getenv("TMPDIR");
    memset(f, 0, sizeof(*f));
    snprintf(f->root, sizeof(f->root), "%s/an-test-ingest-XXXXXX", base ? base : "/tmp");
    assert_non_null(mkdtemp(f->root));
}

static int remove_one(const char *path, const struct stat *status, int type, struct FTW *at)
{
    (void)status, (void)at;
    if (type == FTW_DNR)
        chmod(path, 0700);
    return remove(path);
}

void fixture_remove(const char *path)
{
    assert_int_equal(nftw(path, remove_one, 16, FTW_DEPTH | FTW_PHYS), 0);
}

void fixture_close(fixture *f)
{
    fixture_remove(f->root);
}

const char *fixture_path(fixture *f, const char *format, ...)
{
    char *out = f->path[f->turn++ % 4];
    size_t n = strlen(f->root);
    memcpy(out, f->root, n);
    out[n] = '/';
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(out + n + 1, sizeof(f->path[0]) - n - 1, format, arguments);
    va_end(arguments);
    return out;
}

void fixture_write(const char *path, const void *data, size_t size)
{
    char *folder = strdup(path), *slash = strrchr(folder, '/');
    *slash = 0;
    assert_int_equal(an_file_make_folder(folder), AN_OK);
    free(folder);
    FILE *file = fopen(path, "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(data, 1, size, file), size);
    assert_int_equal(fclose(file), 0);
}

void fixture_picture(an_image *image, uint32_t width, uint32_t height, uint32_t seed)
{
    assert_int_equal(an_image_set_size(image, width, height), AN_OK);
    an_rng rng = an_rng_make(seed, AN_RNG_TEST, 0, 0);
    uint32_t tint[3] = {an_rng_below(&rng, 128), an_rng_below(&rng, 128), an_rng_below(&rng, 128)};
    for (uint32_t y = 0; y < height; y++)
        for (uint32_t x = 0; x < width; x++) {
            uint8_t *pixel = image->pixels + 3 * ((size_t)y * width + x);
            uint32_t noise = an_rng_below(&rng, 16), wave = (x * 3 + y * 2 + seed * 7) % 96;
            pixel[0] = (uint8_t)(tint[0] + wave + noise);
            pixel[1] = (uint8_t)(tint[1] + 95 * x / width + noise);
            pixel[2] = (uint8_t)(tint[2] + 95 * y / height + noise);
        }
}

void fixture_jpeg(an_buffer *out, uint32_t width, uint32_t height, uint32_t seed, an_jpeg_subsampling subsampling)
{
    an_image image = {0};
    an_jpeg_encoder *encoder;
    fixture_picture(&image, width, height, seed);
    assert_int_equal(an_jpeg_encoder_create(&encoder), AN_OK);
    assert_int_equal(an_jpeg_encode(encoder, &image, 90, subsampling, out), AN_OK);
    an_jpeg_encoder_free(encoder);
    an_image_free(&image);
}

void fixture_png(an_buffer *out, uint32_t width, uint32_t height, uint32_t seed)
{
    an_image image = {0};
    fixture_picture(&image, width, height, seed);
    assert_int_equal(an_png_write(image.pixels, AN_PNG_RGB, width, height, (size_t)3 * width, out), AN_OK);
    an_image_free(&image);
}

void fixture_write_jpeg(const char *path, uint32_t width, uint32_t height, uint32_t seed)
{
    an_buffer bytes = {0};
    fixture_jpeg(&bytes, width, height, seed, AN_JPEG_420);
    fixture_write(path, bytes.data, bytes.size);
    an_buffer_free(&bytes);
}

fixture_tar *fixture_tar_open(const char *path)
{
    struct archive *tar = archive_write_new();
    assert_non_null(tar);
    assert_int_equal(archive_write_set_format_gnutar(tar), ARCHIVE_OK);
    assert_int_equal(archive_write_open_filename(tar, path), ARCHIVE_OK);
    return tar;
}

void fixture_tar_add(fixture_tar *tar, const char *name, const void *data, size_t size)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_size(entry, (la_int64_t)size);
    assert_int_equal(archive_write_header(tar, entry), ARCHIVE_OK);
    assert_int_equal(archive_write_data(tar, data, size), (la_ssize_t)size);
    archive_entry_free(entry);
}

void fixture_tar_link(fixture_tar *tar, const char *name, const char *target, bool symbolic)
{
    struct archive_entry *entry = archive_entry_new();
    archive_entry_set_pathname(entry, name);
    archive_entry_set_perm(entry, 0644);
    archive_entry_set_filetype(entry, symbolic ? AE_IFLNK : AE_IFREG);
    if (symbolic)
        archive_entry_set_symlink(entry, target);
    else
        archive_entry_set_hardlink(entry, target);
    assert_int_equal(archive_write_header(tar, entry), ARCHIVE_OK);
    archive_entry_free(entry);
}

void fixture_tar_add_jpeg(fixture_tar *tar, const char *name, uint32_t seed)
{
    an_buffer bytes = {0};
    fixture_jpeg(&bytes, 40, 30, seed, AN_JPEG_420);
    fixture_tar_add(tar, name, bytes.data, bytes.size);
    an_buffer_free(&bytes);
}

void fixture_tar_close(fixture_tar *tar)
{
    assert_int_equal(archive_write_close(tar), ARCHIVE_OK);
    assert_int_equal(archive_write_free(tar), ARCHIVE_OK);
}
