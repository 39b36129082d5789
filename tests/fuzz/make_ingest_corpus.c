/* Seeds for the fuzzers of ingest: make_ingest_corpus FOLDER writes FOLDER/tar, FOLDER/idx, FOLDER/png and
 * FOLDER/devkit. */
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"
#include "base/file.h"
#include "tests/ingest/fixture.h"
#include "tests/ingest/mat.h"

static char root[3000];

static const char *path_of(const char *kind, const char *name)
{
    static char path[4096];
    snprintf(path, sizeof(path), "%s/%s/%s", root, kind, name);
    return path;
}

static void make_tars(void)
{
    an_buffer inner = {0};
    fixture_write(path_of("tar", "empty"), "", 0);
    fixture_tar *tar = fixture_tar_open(path_of("tar", "plain"));
    fixture_tar_add(tar, "class/a.jpg", "some bytes", 10);
    fixture_tar_add(tar, "key.cls", "7", 1);
    fixture_tar_close(tar);
    if (an_file_read(path_of("tar", "plain"), 1 << 20, &inner))
        exit(1);
    tar = fixture_tar_open(path_of("tar", "nested"));
    fixture_tar_add(tar, "n01.tar", inner.data, inner.size);
    fixture_tar_close(tar);
    tar = fixture_tar_open(path_of("tar", "links"));
    fixture_tar_add(tar, "a/1.jpg", "some bytes", 10);
    fixture_tar_link(tar, "b/2.jpg", "a/1.jpg", false);
    fixture_tar_link(tar, "b/3.jpg", "2.jpg", true);
    fixture_tar_link(tar, "b/c", "../a", true);
    fixture_tar_link(tar, "d", "b", true);
    fixture_tar_add(tar, "e/data.mdb", "x", 1);
    fixture_tar_close(tar);
    an_buffer_free(&inner);
}

static void make_pngs(void)
{
    for (uint32_t i = 0; i < 3; i++) {
        char name[16];
        an_buffer png = {0};
        fixture_png(&png, 1 + 7 * i, 9, i);
        snprintf(name, sizeof(name), "seed-%u", i);
        fixture_write(path_of("png", name), png.data, png.size);
        an_buffer_free(&png);
    }
}

static void make_devkits(void)
{
    an_buffer file = {0}, packed = {0};
    mat_file(&file, (mat_synset[2]){{0}}, 2, 2);
    mat_compress(&packed, &file);
    fixture_write(path_of("devkit", "plain"), file.data, file.size);
    fixture_write(path_of("devkit", "packed"), packed.data, packed.size);
    an_buffer_free(&file);
    an_buffer_free(&packed);
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    snprintf(root, sizeof(root), "%s", argv[1]);
    fixture_write(path_of("idx", "images"), "\0\0\x8\3\0\0\0\2\0\0\0\1\0\0\0\1ab", 18);
    fixture_write(path_of("idx", "labels"), "\0\0\x8\1\0\0\0\2ab", 10);
    make_tars();
    make_pngs();
    make_devkits();
    return 0;
}
