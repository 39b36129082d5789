#!/usr/bin/env python3
"""tools/packages.sh takes the names of the distribution, and says what it does not know; tools/on-debian.sh refuses plainly."""
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

TOOLS = Path(os.environ["AN_SOURCE_DIR"]) / "tools"

DEBIAN = 'ID=debian\nVERSION_ID="13"\n'
JAMMY = 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="22.04"\n'
NOBLE = 'ID=ubuntu\nID_LIKE=debian\nVERSION_ID="24.04"\n'
MINT = 'ID=linuxmint\nID_LIKE="ubuntu debian"\nVERSION_ID="21"\nPRETTY_NAME="Linux Mint 21"\nUBUNTU_CODENAME=jammy\n'
FEDORA = "ID=fedora\nVERSION_ID=41\n"


class Packages(unittest.TestCase):
    def run_script(self, system, *words, **environment):
        with tempfile.NamedTemporaryFile("w", suffix=".os-release") as file:
            file.write(system)
            file.flush()
            return subprocess.run([TOOLS / "packages.sh", *words], capture_output=True, text=True,
                                  env={**os.environ, "AN_OS_RELEASE": file.name, **environment})

    def names(self, system, *groups):
        result = self.run_script(system, "--list", *groups)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout.split(), result.stderr

    def test_debian(self):
        names, note = self.names(DEBIAN, "build", "test")
        self.assertIn("libjpeg62-turbo-dev", names)
        self.assertIn("libclang-rt-dev", names)
        self.assertEqual(note, "")

    def test_ubuntu(self):
        names, note = self.names(NOBLE, "build", "test")
        self.assertIn("libjpeg-turbo8-dev", names)
        self.assertNotIn("libjpeg62-turbo-dev", names)
        self.assertIn("libclang-rt-dev", names)
        self.assertEqual(note, "")
        self.assertNotIn("libclang-rt-dev", self.names(JAMMY, "test")[0])

    def test_row_of_several_groups(self):
        """The Python package needs a part of what all needs."""
        names = self.names(DEBIAN, "python")[0]
        self.assertIn("liblmdb-dev", names)
        self.assertIn("python3-venv", names)
        self.assertNotIn("libdnnl-dev", names)
        both = self.names(DEBIAN, "build", "python")[0]
        self.assertEqual(both.count("liblmdb-dev"), 1)

    def test_mpi(self):
        """Building wants its headers, testing its launcher; the Python package has no replicas."""
        for system in DEBIAN, JAMMY, NOBLE:
            self.assertIn("libopenmpi-dev", self.names(system, "build")[0])
            self.assertIn("openmpi-bin", self.names(system, "test")[0])
            self.assertFalse([name for name in self.names(system, "python", "wheel")[0] if "mpi" in name])

    def test_family_is_a_guess(self):
        names, note = self.names(MINT, "build", "test")
        self.assertIn("libjpeg-turbo8-dev", names)
        self.assertNotIn("libclang-rt-dev", names)
        self.assertIn("Linux Mint 21", note)

    def test_unknown_system(self):
        """It names what is needed and goes on: the user may have it all."""
        result = self.run_script(FEDORA, "build")
        self.assertEqual((result.returncode, result.stdout), (0, ""))
        self.assertIn("- LMDB (liblmdb-dev)\n", result.stderr)
        self.assertNotIn("ShellCheck", result.stderr)

    def test_missing_without_root(self):
        """Neither root nor sudo: the missing packages are named."""
        with tempfile.TemporaryDirectory() as folder:
            for name, body in ("id", "echo 1000"), ("dpkg-query", "exit 1"):
                program = Path(folder) / name
                program.write_text(f"#!/bin/sh\n{body}\n")
                program.chmod(0o755)
            for name in "bash", "cat", "grep":
                (Path(folder) / name).symlink_to(f"/bin/{name}")
            result = self.run_script(DEBIAN, "demo", PATH=folder)
        self.assertEqual(result.returncode, 1)
        self.assertIn("neither root nor sudo is at hand: dataset-fashion-mnist", result.stderr)

    def test_usage(self):
        self.assertEqual(self.run_script(DEBIAN, "nonsense").returncode, 2)


class OnDebian(unittest.TestCase):
    def test_usage(self):
        for words in (), ("trixie",), ("../x", "true"), ("--with",):
            result = subprocess.run([TOOLS / "on-debian.sh", *words], capture_output=True, text=True)
            self.assertEqual(result.returncode, 2, words)
            self.assertIn("tools/on-debian.sh trixie", result.stderr)

    def test_not_root(self):
        with tempfile.TemporaryDirectory() as folder:
            program = Path(folder) / "id"
            program.write_text("#!/bin/sh\necho 1000\n")
            program.chmod(0o755)
            result = subprocess.run([TOOLS / "on-debian.sh", "trixie", "true"], capture_output=True, text=True,
                                    env={**os.environ, "PATH": f"{folder}:{os.environ['PATH']}"})
        self.assertEqual(result.returncode, 77)
        self.assertIn("must be root", result.stderr)


if __name__ == "__main__":
    unittest.main()
