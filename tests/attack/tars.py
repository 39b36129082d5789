#!/usr/bin/env python3
"""Attacks an-ingest with damaged tars under right header checksums, as files and as streams: class folders, webdatasets, tars inside tars,
links, sparse files, pax and GNU extensions, impossible sizes; and with small tars that would take long.

    AN_BIN_DIR=build/release/bin tests/attack/tars.py [--count N] [--seed S] [--only NUMBER]

Exit status: 0 no findings, 1 findings."""
import gzip
import io
import pathlib
import random
import sys
import tarfile
import tempfile

sys.dont_write_bytecode = True
from attack import Attack

FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
KINDS = b"0\x001234567LKxgSVMDN\xff"
PAX = {"size": ("0", "-1", "18446744073709551615", "9" * 400, "x"), "path": ("", "/", "..", "a/" * 3000, "\udcff", "x" * 100000), "linkpath": ("", "../" * 1000),
       "GNU.sparse.major": ("1", "99"), "GNU.sparse.map": ("0,1," * 1000, "-1,5"), "GNU.sparse.size": ("99999999999999999999",), "hdrcharset": ("BINARY", "?")}


def add(tar, name, content=b"x", kind=tarfile.REGTYPE, target="", pax=None):
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.pax_headers = kind, target, pax or {}
    info.size = len(content) if kind == tarfile.REGTYPE else 0
    tar.addfile(info, io.BytesIO(content) if info.size else None)


def fill(rng, tar, depth=0):
    web = rng.random() < 0.3
    for i in range(rng.choice((1, 3, 20))):
        c = rng.randrange(2)
        if web:
            for ending in rng.sample((".jpg", ".cls", ".json", ".seg.png", ".CLS"), rng.randrange(1, 5)):
                add(tar, f"k{i}{ending}", rng.choice((b"0", b"1", b"a", b"", b"9" * 70)) if "cls" in ending else bytes(rng.randrange(3000)))
        elif rng.random() < 0.2:
            add(tar, rng.choice((f"c{c}/l{i}.jpg", f"l{i}", f"c{c}/../c{c}/d{i}")), kind=rng.choice((tarfile.SYMTYPE, tarfile.LNKTYPE)),
                target=rng.choice((f"c{c}/0.jpg", "..", ".", f"../c{1 - c}", f"l{i}", "/etc/passwd", f"c{1 - c}", "../l0")))
        else:
            add(tar, rng.choice(("", "", "", "./", "/", "../", ".hidden/", "__MACOSX/")) + f"c{c}/{i}.jpg", bytes(rng.randrange(2000)),
                pax={k: rng.choice(PAX[k]) for k in rng.sample(sorted(PAX), 1)} if tar.format == tarfile.PAX_FORMAT and rng.random() < 0.05 else None)
    if depth == 0 and rng.random() < 0.3:
        inner = io.BytesIO()
        with tarfile.open(fileobj=inner, mode="w", format=rng.choice(FORMATS)) as within:
            fill(rng, within, 1)
        add(tar, "c1.tar", damage(rng, inner.getvalue()) if rng.random() < 0.5 else inner.getvalue())
    if rng.random() < 0.1:
        add(tar, "c0/data.mdb")


def headers(data):
    """Offsets of blocks whose checksum is right."""
    for at in range(0, len(data) - 511, 512):
        field = data[at + 148:at + 156].split(b"\0")[0].strip()
        if field.isdigit() and field and not field.strip(b"01234567") and int(field, 8) == sum(data[at:at + 148]) + 256 + sum(data[at + 156:at + 512]):
            yield at


def damage(rng, data):
    """Some header fields get other values, under a right checksum; then perhaps bits anywhere."""
    data = bytearray(data)
    places = list(headers(data))
    for _ in range(rng.randrange(4) if places else 0):
        at = rng.choice(places)
        how = rng.randrange(6)
        if how == 0:
            data[at + 124:at + 136] = rng.choice((b"77777777777\0", b"00000000000\0", b"-0000000001\0", b"\x80" + b"\xff" * 11, b"\xff" * 12, b"\x80" + bytes(10) + b"\x01", b"zzzzzzzzzzz\0"))
        elif how == 1:
            data[at + 156] = rng.choice(KINDS)
        elif how == 2:
            data[at:at + 100] = rng.choice((b"", b"/", b"a\0b", b"../" * 33, b"\xff" * 100, b"%s%n" * 25)).ljust(100, b"\0")
        elif how == 3:
            data[at + 157:at + 257] = rng.choice((b"", b"../", b"c0", b"x" * 100)).ljust(100, b"\0")
        elif how == 4:
            data[at + 257:at + 265] = rng.choice((b"ustar\x0000", b"ustar  \0", b"\0" * 8, b"ustar\x0099"))
        else:
            data[at + rng.randrange(512)] ^= 1 << rng.randrange(8)
        data[at + 148:at + 156] = b" " * 8
        data[at + 148:at + 156] = b"%06o\0 " % (sum(data[at:at + 512]))
    for _ in range(rng.choice((0, 0, 0, 1, 8))):
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
    if rng.random() < 0.1:
        data = data[:rng.randrange(1, len(data))]
    return bytes(data)


def bomb(rng, tar):
    """A tar that is small for the work that it would make."""
    kind = rng.randrange(6)
    if kind == 0:
        add(tar, "a/" * rng.choice((100, 2000, 200000)) + "b.jpg")
    elif kind == 1:
        add(tar, "0/a.jpg")
        for i in range(1, 60):
            for k in "01":
                add(tar, f"{i}/{k}", kind=tarfile.SYMTYPE, target=f"../{i - 1}")
    elif kind == 2:
        for i in range(5000):
            add(tar, f"d{i}/data.mdb")
            add(tar, f"d{i}/a.jpg")
    elif kind == 3:
        for i in range(5000):
            add(tar, f"c/{i}.jpg", kind=tarfile.LNKTYPE, target=f"c/{i + 1}.jpg")
    elif kind == 4:
        for i in range(5000):
            add(tar, f"k.{i}.jpg")
        add(tar, "k.cls", b"0")
    else:
        for i in range(20):
            add(tar, "c/" + "x" * 1000000 + f"{i}.jpg")


def make(rng):
    out = io.BytesIO()
    is_bomb = rng.random() < 0.05
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT if is_bomb else rng.choice(FORMATS), errors="surrogateescape") as tar:
        (bomb if is_bomb else fill)(rng, tar)
    data = out.getvalue() if is_bomb else damage(rng, out.getvalue())
    return data + damage(rng, out.getvalue()) if not is_bomb and rng.random() < 0.1 else data


def main():
    attack = Attack("tars")
    with tempfile.TemporaryDirectory(prefix="an-attack-") as folder:
        folder = pathlib.Path(folder)
        (folder / "classes").write_text("c0\nc1\n")
        path = folder / "source.tar"
        taken = 0
        for n in attack.numbers():
            rng = random.Random(f"{attack.options.seed} {n}")
            data = make(rng)
            stream = rng.random() < 0.5
            path.write_bytes(gzip.compress(data, 1) if stream and rng.random() < 0.3 else data)
            command = ["an-ingest", "--dry-run", "--max-bad", "100%"]
            if stream:
                code, _ = attack.run(n, [*command, "--classes-from", folder / "classes", "-", folder / "out"], [path], path)
            else:
                code, _ = attack.run(n, [*command, path, folder / "out"], [path])
            taken += code == 0
        print(f"{taken} of the tars were taken")
    return attack.end()


if __name__ == "__main__":
    sys.exit(main())
