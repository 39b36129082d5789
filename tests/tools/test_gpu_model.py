#!/usr/bin/env python3
"""tools/gpu-model.py: near the steps that were measured, without having seen them; docs/gpu.md has its tables. tools/gpu-count.py counts
the longest way through a kernel."""
import importlib.machinery
import importlib.util
import os
import re
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

ROOT = Path(os.environ["AN_SOURCE_DIR"])
sys.dont_write_bytecode = True


def load(name):
    loader = importlib.machinery.SourceFileLoader(name.replace("-", "_"), str(ROOT / "tools" / f"{name}.py"))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(loader.name, loader))
    loader.exec_module(module)
    return module


def run(name, *words, **environment):
    return subprocess.run([sys.executable, ROOT / "tools" / f"{name}.py", *words], capture_output=True, text=True,
                          env={**os.environ, **environment})


class Model(unittest.TestCase):
    def test_near_what_was_measured(self):
        model = load("gpu-model")
        self.assertEqual(model.MEASURED["bf16", 128], 5.57)
        for (precision, batch), measured in model.MEASURED.items():
            with self.subTest(precision=precision, batch=batch):
                self.assertAlmostEqual(model.step(model.first(precision, batch), batch) / measured, 1, delta=0.1)

    def test_the_whole_step_is_not_used(self):
        model = load("gpu-model")
        before = model.step(model.first("bf16", 128), 128), model.step(model.second("bf16", 128), 128)
        model.MEASURED.clear()
        model.AIMS.clear()
        self.assertEqual((model.step(model.first("bf16", 128), 128), model.step(model.second("bf16", 128), 128)), before)

    def test_bytes(self):
        """By hand, in bf16 at batch 128."""
        rows = {(row.part, row.what): row.bytes for row in load("gpu-model").second("bf16", 128)}
        conv, pooled, sums = 128 * 55 * 55 * 96, 128 * 27 * 27 * 96, 2 * 132 * 512 * 8 * 4
        self.assertEqual(rows["input", "bytes to blocks of values"], 128 * 224 * 224 * 3 + 256 * 256 * 3 * 4 + 128 * 57 * 57 * 48 * 2)
        self.assertEqual(rows["conv1", "normalisation, pooling"], 2 * conv + 2 * pooled + pooled)
        self.assertEqual(rows["conv1", "gradient of both, slope, bias sums"], 2 * conv + 2 * pooled + pooled + 2 * conv + sums)
        self.assertEqual(rows["conv3", "slope, bias sums"], 3 * 2 * 128 * 13 * 13 * 384 + sums)
        self.assertEqual(rows["update", "fc6"], 9216 * 4096 * 22)
        self.assertEqual([row.bytes for row in load("gpu-model").decoding(128)], [128 * 23600, 128 * 224 * 224 * 3])

    def test_timed_kernels_are_what_was_measured(self):
        rows = {(row.part, row.what): row for row in load("gpu-model").second("bf16", 128)}
        for which, time, source in ((("conv2", "data gradient"), 201, "PyTorch"), (("fc6", "gradients"), 94, "timed"),
                                    (("update", "fc7"), 130, "timed")):
            self.assertEqual(rows[which].source, source)
            self.assertAlmostEqual(rows[which].us, time)

    def test_documents_have_its_output(self):
        said = run("gpu-model")
        self.assertEqual((said.returncode, said.stderr), (0, ""))
        text, parts = (ROOT / "docs" / "gpu.md").read_text(), said.stdout.strip().split("\n\n")
        self.assertEqual(len(parts), 6)
        for part in parts:
            with self.subTest(part=part.splitlines()[0]):
                self.assertTrue(part in text, f"docs/gpu.md lacks what tools/gpu-model.py prints:\n{part}")

    def test_single_steps(self):
        said = run("gpu-model", "bf16:128", "fp32:512")
        self.assertTrue(re.fullmatch(r"bf16 128 [0-9.]+ ms\nfp32 512 [0-9.]+ ms\n", said.stdout), said)


LISTING = """
\t\tFunction : an_device_tiny
        /*0000*/                   MOV R1, c[0x0][0x28] ;                    /* 0x00000a0000017a02 */
        /*0010*/                   @P2 BRA 0xb0 ;                            /* 0x000000a000002947 */
        /*0020*/                   @!P0 BRA 0x50 ;                           /* 0x0000002000008947 */
        /*0030*/                   CALL.REL.NOINC 0x110 ;                    /* 0x000000d000007944 */
        /*0040*/                   BRA 0x50 ;                                /* 0x0000000000007947 */
        /*0050*/                   LDG.E.128 R4, desc[UR4][R2.64] ;          /* 0x0000000402047981 */
        /*0060*/                   FADD R8, R8, R4 ;                         /* 0x0000000408087221 */
        /*0070*/                   @!P1 BRA P2, 0x50 ;                       /* 0xfffffffc00e09947 */
        /*0080*/                   STG.E.128 desc[UR4][R2.64], R8 ;          /* 0x0000000802007986 */
        /*0090*/                   @!P3 BRA 0x10 ;                           /* 0xffffffe000e0b947 */
        /*00a0*/                   EXIT ;                                    /* 0x000000000000794d */
        /*00b0*/                   FADD R8, R8, R4 ;                         /* 0x0000000408087221 */
        /*00c0*/                   FADD R8, R8, R4 ;                         /* 0x0000000408087221 */
        /*00d0*/                   @P1 BRA 0xb0 ;                            /* 0xfffffffc00e09947 */
        /*00e0*/                   STG.E desc[UR4][R2.64], R8 ;              /* 0x0000000802007986 */
        /*00f0*/                   BRA 0x90 ;                                /* 0xfffffffc00e09947 */
        /*0110*/                   RET.REL.NODEC R6 0x0 ;                    /* 0xfffffef406007950 */
\t\tFunction : an_device_bare
        /*0000*/                   STG.E desc[UR4][R2.64], R8 ;              /* 0x0000000802007986 */
        /*0010*/                   EXIT ;                                    /* 0x000000000000794d */
"""


class Count(unittest.TestCase):
    def test_longest_way(self):
        """The way with 16 bytes at once, past the call; the inner loop nine times, the loop over items once."""
        count = load("gpu-count")
        kernels = dict(count.functions(LISTING))
        self.assertEqual(sorted(kernels), ["bare", "tiny"])
        self.assertEqual(len(kernels["tiny"]), 17)
        self.assertEqual(count.longest(kernels["tiny"], loads=9), 3 + 9 * 3 + 3)
        self.assertEqual(count.longest(kernels["bare"]), 2)
        self.assertEqual(count.longest(kernels["tiny"], loads=1), 3 + 3 + 3)

    def test_ways_that_are_left_out(self):
        """never leaves out ways with an instruction, through those that lack one."""
        count = load("gpu-count")
        tiny = dict(count.functions(LISTING))["tiny"]
        self.assertEqual(count.longest(tiny, never=r"LDG\.E|FADD"), float("-inf"))
        self.assertEqual(count.longest(tiny, through=("LDG.E.128", 1)), 9)
        self.assertEqual(count.longest(tiny, through=("LDG.E.128", 2)), float("-inf"))

    def test_loops_that_are_left_out(self):
        """A loop that holds the instruction is not gone through, not even past it."""
        count = load("gpu-count")
        code = [(0, "@P0 BRA 0x60"), (0x10, "@P1 BRA 0x30"), (0x20, "ISETP R1"), (0x30, "LDG R1"), (0x40, "@P2 BRA 0x10"), (0x50, "NOP"),
                (0x60, "STG.E desc[UR4][R2.64], R8"), (0x70, "EXIT")]
        self.assertEqual(count.longest(code), 8)
        self.assertEqual(count.longest(code, never="ISETP"), 3)

    def test_divergence_is_no_jump(self):
        """BRA.DIV leaves only where lanes have parted; the way goes on behind it."""
        count = load("gpu-count")
        code = [(0, "BRA.DIV UR4, 0x40"), (0x10, "STG.E desc[UR4][R2.64], R8"), (0x20, "EXIT"), (0x40, "BRA 0x10")]
        self.assertEqual(count.longest(code), 3)

    def test_command(self):
        """A stand-in for cuobjdump, which not every machine has; without it the tool says what to install. The inner loop is gone through
        as often as pool5's loads say: 15 times."""
        with tempfile.TemporaryDirectory() as folder:
            (Path(folder) / "dump").write_text(f"#!/bin/sh\ncat <<'END'\n{LISTING.replace('tiny', 'peaks')}\nEND\n")
            (Path(folder) / "dump").chmod(0o755)
            said = run("gpu-count", "kernels.o", CUOBJDUMP=f"{folder}/dump")
            self.assertEqual(said.returncode, 0, said.stderr)
            self.assertRegex(said.stdout, r"(?m)^\| peaks \| conv5: pooling \| 51 \| 0\.7 \| 0\.1 us \| 14\.6 MB, 5 us \| bytes \|$")
            self.assertRegex(said.stdout, r"(?m)^\| bare \|  \| 2, loops once \|")
            missing = run("gpu-count", "kernels.o", CUOBJDUMP=f"{folder}/none")
        self.assertEqual(missing.returncode, 77)
        self.assertIn("cuda-cuobjdump-13-0", missing.stdout)


if __name__ == "__main__":
    unittest.main()
