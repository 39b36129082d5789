#!/usr/bin/env python3
"""liban as others have it: installed into a folder, the example is built by pkg-config and by CMake against that alone and runs; headers
stand alone in C and C++; the library exports its own names only and needs no network's libraries."""
import os
import re
import shutil
import struct
import subprocess
import tempfile
import unittest
from pathlib import Path

SOURCE = Path(os.environ["AN_SOURCE_DIR"])
BUILD = Path(os.environ["AN_BUILD_DIR"])
PROGRAMS = Path(os.environ["AN_BIN_DIR"])
CMAKE = os.environ["AN_CMAKE"]
CC, CXX = os.environ["AN_CC"], shutil.which(os.environ.get("CXX", "c++"))
SANITIZE = [f"-fsanitize={kind}" for kind in [os.environ.get("AN_SANITIZE")] if kind]
HEADERS = ["an.h", "common.h", "dataset.h", "loader.h", "writer.h"]
IMAGES, SIDE = 150, 28


def run(*command, **more):
    result = subprocess.run([str(word) for word in command], capture_output=True, text=True, **more)
    if result.returncode:
        raise AssertionError(f"{' '.join(map(str, command))}:\n{result.stdout}{result.stderr}")
    return result.stdout


def write_idx(folder):
    """Images and labels as MNIST has them."""
    pixels = bytes((i * 7 + k) % 251 for i in range(IMAGES) for k in range(SIDE * SIDE))
    (folder / "some-images-idx3-ubyte").write_bytes(struct.pack(">IIII", 0x803, IMAGES, SIDE, SIDE) + pixels)
    (folder / "some-labels-idx1-ubyte").write_bytes(struct.pack(">II", 0x801, IMAGES) + bytes(i % 3 for i in range(IMAGES)))
    return folder / "some-images-idx3-ubyte"


class Installed(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.root = Path(folder.name)
        made = cls.root / "made"
        for component in "library", "development":
            run(CMAKE, "--install", BUILD, "--prefix", made, "--component", component)
        cls.prefix = made.rename(cls.root / "moved")  # it finds itself wherever it lies
        cls.dataset = cls.root / "data"
        run(PROGRAMS / "an-ingest", "--size", "32", write_idx(cls.root), cls.dataset)
        cls.library = next(path for path in cls.prefix.rglob("liban.so.0"))

    def check_example(self, program):
        environment = os.environ | {"LD_LIBRARY_PATH": str(self.library.parent)}
        lines = run(program, self.dataset, 24, env=environment).splitlines()
        self.assertEqual([line.split()[2:] for line in lines[:3]], [["50", "images"]] * 3)
        self.assertRegex(lines[3], rf"^{IMAGES} images in 3 batches, \d+ images/s$")
        self.assertRegex(lines[4], r"^(consumer|decode|read): ")
        failed = subprocess.run([program, self.root / "nothing"], env=environment, capture_output=True, text=True, check=False)
        self.assertEqual(failed.returncode, 1)
        self.assertIn("cannot open the dataset", failed.stderr)

    def copy_example(self, name):
        return Path(shutil.copytree(SOURCE / "examples/c", self.root / name))

    def test_pkg_config(self):
        source = self.copy_example("by pkg-config")
        environment = os.environ | {"PKG_CONFIG_PATH": str(next(self.prefix.rglob("an.pc")).parent)}
        flags = run("pkg-config", "--cflags", "--libs", "an", env=environment).split()
        run(CC, "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", *SANITIZE, source / "classes.c", *flags, "-o", source / "classes")
        self.check_example(source / "classes")
        version = re.search(r"^project\(an VERSION (\S+) ", (SOURCE / "CMakeLists.txt").read_text(), re.M)[1]
        self.assertEqual(run("pkg-config", "--modversion", "an", env=environment).strip(), version)

    def test_cmake(self):
        source = self.copy_example("by cmake")
        run(CMAKE, "-G", "Ninja", "-S", source, "-B", source / "build", f"-DCMAKE_PREFIX_PATH={self.prefix}", f"-DCMAKE_C_COMPILER={CC}",
            f"-DCMAKE_C_FLAGS={' '.join(SANITIZE)}")
        run(CMAKE, "--build", source / "build")
        self.check_example(source / "build/classes")
        self.assertLessEqual(len((source / "classes.c").read_text().splitlines()), 60)

    def test_headers_stand_alone(self):
        include = next(path for path in self.prefix.rglob("an") if (path / "common.h").exists())
        self.assertEqual(sorted(path.name for path in include.iterdir()), HEADERS)
        compilers = [(CC, "c", "-std=c11")] + ([(CXX, "c++", "-std=c++17")] if CXX else [])
        for compiler, language, standard in compilers:
            for header in HEADERS:
                run(compiler, "-x", language, standard, "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only",
                    f"-I{include.parent}", include / header)

    def test_what_the_document_shows_compiles(self):
        blocks = re.findall(r"^```c\n(.*?)^```", (SOURCE / "docs/liban.md").read_text(), re.M | re.S)
        self.assertGreaterEqual(len(blocks), 4)
        include = next(path for path in self.prefix.rglob("an") if (path / "common.h").exists()).parent
        for block in blocks:
            run(CC, "-x", "c", "-std=c11", "-Wall", "-Wextra", "-Wpedantic", "-Werror", "-fsyntax-only", f"-I{include}", "-", input=block)

    def test_only_public_names_are_exported(self):
        table = run("nm", "-D", "--defined-only", self.library).split("\n")
        names = {line.split()[2] for line in table if line}
        names -= {name for name in names if name.startswith(("__asan", "__odr_asan", "__tsan"))} if SANITIZE else set()
        declared = set()
        for header in (SOURCE / "liban/an").glob("*.h"):
            declared |= set(re.findall(r"LIBAN_API[^;(]*?(liban_\w+)\(", header.read_text()))
        self.assertEqual(names, declared)
        self.assertIn("SONAME", run("objdump", "-p", self.library))
        self.assertRegex(run("objdump", "-p", self.library), r"SONAME +liban\.so\.0\n")

    def test_it_needs_no_network(self):
        needed = set(re.findall(r"NEEDED +(\S+)", run("objdump", "-p", self.library)))
        self.assertIn("libjpeg.so.62", needed)
        self.assertFalse([name for name in needed if re.match(r"lib(dnnl|cuda|cud|cublas|nv|gomp|openblas|cairo|pango|archive)", name)],
                         needed)

    def test_it_neither_prints_nor_ends_the_process(self):
        table = run("nm", "-D", "--undefined-only", self.library)
        wanted = {line.split()[1].split("@")[0] for line in table.splitlines()}
        self.assertFalse(wanted & {"exit", "_exit", "printf", "puts", "putchar", "perror", "signal", "sigaction", "stdout"}, wanted)


if __name__ == "__main__":
    unittest.main()
