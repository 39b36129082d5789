#!/usr/bin/env python3
"""bash completion offers what a program's --help says: subcommands, options, choices."""
import os
import subprocess
import tempfile
import unittest
from pathlib import Path

SCRIPT = Path(os.environ["AN_SOURCE_DIR"]) / "tools/completion/an.bash"

# A program with the layout of base/program/options_help.c.
PROGRAM = r"""#!/bin/bash
usage() {
    echo "Usage: an-train [OPTION...] TRAINING [VALIDATION]"
    echo "  or:  an-train eval [OPTION...] DATASET"
    echo "  or:  an-train export [OPTION...] FILE"
}
case "$*" in
--usage) usage ;;
--help) usage; cat <<'END'
Train on a dataset; --not-an-option is only mentioned.

Records:
  -s, --size=PIXELS          side of the stored square image (8 to 4096;
                             default 256)
      --codec=CODEC          how pixels are stored (jpeg, coef,
                             yuv420; default jpeg)
  -q, --quiet                say nothing but errors

Help:
  -h, --help                 show this text
END
    ;;
"eval --help") echo "      --show=N               show so many predictions (default 0)" ;;
esac
"""


class Completion(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name
        program = Path(self.folder) / "an-train"
        program.write_text(PROGRAM)
        program.chmod(0o755)

    def complete(self, *words):
        command = f"""source '{SCRIPT}'; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _an_complete "$1"
            printf '%s\\n' "${{COMPREPLY[@]}}" """
        environment = {**os.environ, "PATH": f"{self.folder}:{os.environ['PATH']}"}
        result = subprocess.run(["bash", "-u", "-c", command, "bash", *words], env=environment, capture_output=True,
                                text=True)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout.split()

    def test_subcommands(self):
        self.assertEqual(self.complete("an-train", "e"), ["eval", "export"])
        self.assertEqual(self.complete("an-train", "ev"), ["eval"])
        self.assertEqual(self.complete("an-train", "data", "e"), [])

    def test_options(self):
        self.assertEqual(self.complete("an-train", "-"), ["--size", "--codec", "--quiet", "--help"])
        self.assertEqual(self.complete("an-train", "data", "--c"), ["--codec"])
        self.assertEqual(self.complete("an-train", "eval", "--"), ["--show"])

    def test_choices(self):
        self.assertEqual(self.complete("an-train", "--codec", ""), ["jpeg", "coef", "yuv420"])
        self.assertEqual(self.complete("an-train", "--codec", "="), ["jpeg", "coef", "yuv420"])
        self.assertEqual(self.complete("an-train", "--codec", "=", "y"), ["yuv420"])
        self.assertEqual(self.complete("an-train", "--size", ""), [])
        self.assertEqual(self.complete("an-train", "--quiet", ""), [])


if __name__ == "__main__":
    unittest.main()
