#!/usr/bin/env python3
"""an-bench-io with a device that decodes: an emulated one, whose module AN_DECODE_MODULE names.

    bench_io.py REMAKE      the program that damages a record"""
import os
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "benchmarks", "io"))
from test_bench_io import as_coef, bench, make_dataset, quick, run  # noqa: E402


def check_device(report, batch):
    device = report["device"]
    assert device["name"] == "cuda:0" and device["memory"] > 0
    assert device["decode"]["images"] > 0 and device["decode"]["images"] % (8 * batch) == 0
    assert device["full"]["images"] > 0 and device["full"]["images"] % batch == 0
    assert device["full"]["bus_bytes_per_image"] >= device["full"]["payload_bytes_per_image"] > 0
    assert device["full"]["cpu_us_per_image"] > 0


def test_device_alone(coef):
    report = bench(coef, "--decode", "device", "--devices", "cuda:0", "--threads", "2")
    check_device(report, 16)
    assert not report["full"] and len(report["payload"]) == 1
    assert report["verdict"]["stage"] in ("loader", "device", "copy")
    assert "decoded on cuda:0" in report["verdict"]["text"]


def test_beside_the_host(coef):
    """auto measures both; the verdict speaks of the device exactly where it is faster."""
    report = bench(coef, "--devices", "cuda:0", "--threads", "1,2")
    check_device(report, 16)
    assert len(report["full"]) == 2 and len(report["payload"]) == 2
    there = report["device"]["full"]["images_per_second"]
    here = report["full"][-1]["images_per_second"]
    assert ("--decode device" in report["verdict"]["text"]) == (there > 1.05 * here), report["verdict"]


def test_text(coef):
    text = run("an-bench-io", *quick("--decode", "device", "--devices", "cuda:0"), coef).stdout
    for word in ("decoding on cuda:0", "us a batch of 16", "device", "bytes across the bus", "verdict:"):
        assert word in text, (word, text)


def test_other_records_are_finished_by_the_host(dataset):
    report = bench(dataset, "--decode", "device", "--devices", "cuda:0", "--stage", "full")
    check_device(report, 16)
    assert report["device"]["full"]["payload_bytes_per_image"] == 24 * 24 * 3


def test_damage_is_named(coef, folder):
    """A record with a right checksum that cannot be decoded: the device notices it, and the message says where."""
    damaged = os.path.join(folder, "damaged")
    subprocess.run([sys.argv[1], coef, coef, damaged, "13"], check=True)
    options = quick("--crop", "32", "--decode", "device", "--devices", "cuda:0", "--stage", "full")
    said = run("an-bench-io", *options, damaged, code=3).stderr
    assert f"'{damaged}' (an-ingest verify names the record): coef payload" in said, said


def main():
    with tempfile.TemporaryDirectory(prefix="an-bench-io-") as folder:
        dataset = make_dataset(folder)
        coef = as_coef(dataset)
        test_device_alone(coef)
        test_beside_the_host(coef)
        test_text(coef)
        test_other_records_are_finished_by_the_host(dataset)
        test_damage_is_named(coef, folder)
    return 0


if __name__ == "__main__":
    sys.exit(main())
