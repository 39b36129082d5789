#!/usr/bin/env python3
"""an-bench-io over a small dataset: every stage, the sweep, the verdict, the charts, and what it refuses."""
import json
import os
import struct
import subprocess
import sys
import tempfile
import xml.etree.ElementTree

BIN = os.environ["AN_BIN_DIR"]
QUICK = {"--seconds": "0.2", "--rounds": "1", "--warm-up": "0.05", "--crop": "24", "--batch": "16"}


def quick(*options):
    """A short measurement, but for what the options say: each may be given once."""
    return [word for name, value in QUICK.items() if name not in options for word in (name, value)] + list(options)


def run(*arguments, code=0):
    result = subprocess.run([os.path.join(BIN, arguments[0]), *arguments[1:]], capture_output=True, text=True, timeout=120)
    assert result.returncode == code, (arguments, result.returncode, result.stderr)
    return result


def make_dataset(folder):
    images, labels = os.path.join(folder, "a-images-idx3-ubyte"), os.path.join(folder, "a-labels-idx1-ubyte")
    with open(images, "wb") as file:
        file.write(struct.pack(">IIII", 0x803, 64, 28, 28))
        file.write(bytes((i * 7 + p) % 256 for i in range(64) for p in range(28 * 28)))
    with open(labels, "wb") as file:
        file.write(struct.pack(">II", 0x801, 64) + bytes(i % 10 for i in range(64)))
    dataset = os.path.join(folder, "set")
    run("an-ingest", "--quiet", "--size", "32", images, dataset)
    return dataset


def bench(dataset, *options):
    return json.loads(run("an-bench-io", *quick("--json", *options), dataset).stdout)


def test_size_of_records(dataset):
    """The same number as an-ingest info's: the payloads alone, not the file with its pages divided by the records."""
    told = run("an-bench-io", *quick("--stage", "read"), dataset).stdout.splitlines()[0]
    counted = run("an-ingest", "info", dataset).stdout.split(" kB a record")[0].split()[-1]
    assert f", {counted} kB each;" in told, (counted, told)


def test_all_stages_and_verdict(dataset):
    report = bench(dataset, "--threads", "2")
    for stage in ("read", "decode", "sample", "memory"):
        assert report[stage]["images"] > 0, stage
    full = report["full"][0]
    assert full["images"] > 0 and full["counters"]["worker_busy_ns"] > 0
    assert report["verdict"]["stage"] in ("disk", "read CPU", "decode", "augment", "memory", "consumer")
    assert f"{full['images_per_second']:.0f} images/s" in report["verdict"]["text"]


def test_transcode_is_proposed(dataset):
    """What decodes JPEG photographs is told of coef or more, in words and in numbers; a dataset there already is not."""
    verdict = bench(dataset, "--threads", "2")["verdict"]
    if verdict["stage"] == "decode":
        assert "an-ingest transcode" in verdict["text"]
        assert verdict["change"]["codec"] in ("coef", "yuv420", "rgb") and verdict["change"]["gain"] > 1.05
    for codec in ("coef", "rgb"):
        other = os.path.join(os.path.dirname(dataset), codec)
        run("an-ingest", "transcode", "--quiet", "--codec", codec, dataset, other)
        verdict = bench(other, "--threads", "2")["verdict"]
        assert verdict.get("change", {}).get("codec") != codec and verdict.get("further", {}).get("codec") != codec


def test_single_stages_and_sweep(dataset):
    assert "full" not in bench(dataset, "--stage", "read") or not bench(dataset, "--stage", "read")["full"]
    assert "read" not in bench(dataset, "--stage", "decode")
    sweep = bench(dataset, "--stage", "full", "--threads", "1..2,4")["full"]
    assert [entry["threads"] for entry in sweep] == [1, 2, 4]
    text = run("an-bench-io", *quick("--stage", "full", "--threads", "1,2"), dataset).stdout
    assert "speed-up" in text and "verdict:" in text


def test_formats_and_engines(dataset):
    for engine in ("auto", "uring", "uring-direct", "pread", "mmap"):
        full = bench(dataset, "--stage", "full", "--engine", engine, "--dtype", "f32", "--layout", "nchw", "--mean",
                     "pixel", "--jitter", "0.1", "--cold")["full"][0]
        assert full["images"] > 0
    assert bench(dataset, "--stage", "full", "--resized", "0.08", "--order", "block", "--block", "8")["full"][0]["images"]


def test_slow_consumer_is_named(dataset):
    report = bench(dataset, "--compute", "50", "--seconds", "0.5")
    assert report["verdict"]["stage"] == "consumer", report["verdict"]


def test_batches_and_epochs_are_counted(dataset):
    assert bench(dataset, "--stage", "full", "--batches", "7")["full"][0]["images"] == 7 * 16
    assert bench(dataset, "--stage", "full", "--epochs", "2")["full"][0]["images"] == 2 * 64


def test_charts(dataset):
    for ending, start in (("svg", b"<?xml"), ("png", b"\x89PNG"), ("pdf", b"%PDF")):
        chart = os.path.join(os.path.dirname(dataset), "chart." + ending)
        run("an-bench-io", *quick("--stage", "full", "--seconds", "0.5", "--chart", chart), dataset)
        with open(chart, "rb") as file:
            assert file.read(5).startswith(start[:4])
        if ending == "svg":
            check_svg(chart)
    refused = run("an-bench-io", *quick("--stage", "full", "--chart", "x.gif"), dataset, code=2)
    assert "x.gif" in refused.stderr and ".svg" in refused.stderr
    assert not refused.stdout  # before anything is measured


def check_svg(path):
    """Text that can be searched, not outlines of letters: the title, the bands, their states and the scale."""
    root = xml.etree.ElementTree.parse(path).getroot()
    texts = ["".join(element.itertext()) for element in root.iter("{http://www.w3.org/2000/svg}text")]
    for wanted in ("Who was busy when", "workers", "busy", "wait for records", "wait for a slot", "reading", "wait for the disk",
                   "wait for free buffers", "consumer", "waits for a batch", "0 s", "100 %"):
        assert wanted in texts, (wanted, texts)
    assert any("images/s" in text for text in texts), texts


def as_coef(dataset):
    coef = os.path.join(os.path.dirname(dataset), "coef")
    if not os.path.exists(coef):
        run("an-ingest", "transcode", "--quiet", "--codec", "coef", dataset, coef)
    return coef


def test_undecoded_records(dataset):
    """What the host does where a device decodes: measured on any machine."""
    coef = as_coef(dataset)
    report = bench(coef, "--decode", "device", "--threads", "1,2")
    assert not report["full"] and "decode" not in report and "sample" not in report
    assert [entry["threads"] for entry in report["payload"]] == [1, 2]
    for entry in report["payload"]:
        assert entry["images"] > 0 and entry["cpu_us_per_image"] > 0
        assert entry["payload_bytes_per_image"] <= entry["bus_bytes_per_image"]
        # Draws, places, the ends of lines and of the block.
        assert entry["bus_bytes_per_image"] - entry["payload_bytes_per_image"] < 24 + 16 + 64 + (64 + 64) / 16
    text = run("an-bench-io", *quick("--decode", "device"), coef).stdout
    assert "bytes across the bus" in text and "payload" in text and "verdict: loader:" in text
    assert report["verdict"]["stage"] == "loader" and "device" not in report
    mixed = bench(dataset, "--decode", "device", "--stage", "full")["payload"][0]
    assert mixed["payload_bytes_per_image"] == 24 * 24 * 3
    assert not bench(coef, "--stage", "full")["payload"]


def test_a_device_that_is_not_there_is_refused(dataset):
    """With the reason, before anything is measured, whether it was asked for alone or beside the host."""
    for options in (["--decode", "device"], []):
        error = run("an-bench-io", *quick(*options, "--devices", "cuda:99"), as_coef(dataset), code=1)
        assert "--devices cuda:99: " in error.stderr and not error.stdout


def test_refusals(dataset):
    for options, word in ((["--threads", "0"], "--threads '0'"), (["--threads", "2,"], "--threads '2,'"),
                          (["--threads", "3..1"], "3..1"), (["--crop", "33"], "crop 33"),
                          (["--mean", "pixel"], "u8"), (["--decode", "host", "--devices", "cuda:0"], "--devices cuda:0"),
                          (["--decode", "device", "--dtype", "f32"], "u8, NHWC"), (["--batch", "65"], "batch of 65")):
        error = run("an-bench-io", *quick("--stage", "full", *options), dataset, code=2).stderr
        assert word in error, (options, error)
    missing = os.path.join(os.path.dirname(dataset), "nothing")
    assert missing in run("an-bench-io", missing, code=1).stderr


def main():
    with tempfile.TemporaryDirectory(prefix="an-bench-io-") as folder:
        dataset = make_dataset(folder)
        for name, test in list(globals().items()):
            if name.startswith("test_"):
                test(dataset)
                print("passed", name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
