#!/usr/bin/env python3
"""A program takes the fonts that lie beside it, as in the tarball, unless FONTCONFIG_FILE says otherwise."""
import os
import shutil
import subprocess
import tempfile
import unittest
from pathlib import Path

PROGRAM = Path(os.environ["AN_BIN_DIR"]) / "an-show"
NO_FONTS = "<?xml version='1.0'?><fontconfig><dir prefix='relative'>.</dir><cachedir prefix='relative'>cache</cachedir></fontconfig>"


class Fonts(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)
        (self.root / "bin").mkdir()
        self.program = self.root / "bin" / "an-show"
        shutil.copy(PROGRAM, self.program)
        self.environment = {name: value for name, value in os.environ.items() if not name.startswith("FONTCONFIG")}

    def draw(self, **environment):
        return subprocess.run([self.program, "network", self.root / "network.png"], capture_output=True, text=True,
                              env={**self.environment, **environment})

    def test_fonts_beside_the_program(self):
        if self.draw().returncode:
            self.skipTest("no font is installed")
        folder = self.root / "share" / "an" / "fonts"
        folder.mkdir(parents=True)
        (folder / "fonts.conf").write_text(NO_FONTS)
        result = self.draw()
        self.assertNotEqual(result.returncode, 0)
        self.assertIn("no font is installed", result.stderr)
        self.assertEqual(self.draw(FONTCONFIG_FILE="/etc/fonts/fonts.conf").returncode, 0)


if __name__ == "__main__":
    unittest.main()
