#!/usr/bin/env python3
"""Puts the licences of the libraries that a wheel carries into it, where its own licence lies, and names them in its metadata.

    wheel_licenses.py WHEEL [PACKAGE...]

The libraries are those that auditwheel copied from this Debian into the wheel's folder *.libs; PACKAGEs are Debian packages whose
libraries are linked statically. The wheel is rewritten. A library without a package, or a package without a licence, is an error."""
import base64
import hashlib
import os
import re
import subprocess
import sys
import zipfile
from pathlib import Path


def package_of(library):
    """The Debian package that a copied library is from. auditwheel calls it NAME-HASH.so.VERSION."""
    name = re.sub(r"-[0-9a-f]{8}(?=\.so)", "", library)
    for folder in "/usr/lib", "/lib":
        found = subprocess.run(["dpkg-query", "-S", f"{folder}/x86_64-linux-gnu/{name}"], capture_output=True, text=True)
        if not found.returncode:
            return found.stdout.split(":")[0]
    sys.exit(f"no package has {name}")


def license_of(package):
    path = Path(f"/usr/share/doc/{package}/copyright")
    return path.read_bytes() if path.exists() else sys.exit(f"'{package}' has no licence in /usr/share/doc")


def entry(name, data):
    """A line of the wheel's RECORD."""
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).rstrip(b"=").decode()
    return f"{name},sha256={digest},{len(data)}\n"


def main(wheel, static):
    with zipfile.ZipFile(wheel) as archive:
        files = [(info, archive.read(info)) for info in archive.infolist() if not info.is_dir()]
    names = [info.filename for info, _ in files]
    metadata = next(name for name in names if name.endswith(".dist-info/METADATA"))
    folder = metadata.rpartition("/")[0]
    packages = {package_of(Path(name).name) for name in names if ".libs/" in name} | set(static)
    licenses = {f"libraries/{package}": license_of(package) for package in sorted(packages)}

    out, record = [], ""
    for info, data in files:
        if info.filename == f"{folder}/RECORD":
            continue
        if info.filename == metadata:
            lines = "".join(f"License-File: {name}\n" for name in licenses)
            text, count = re.subn(r"(?m)^License-File: .*\n", lambda match: match[0] + lines, data.decode(), count=1)
            data = text.encode() if count else sys.exit(f"{wheel} names no licence of its own")
        out.append((info, data))
    for name, data in licenses.items():
        info = zipfile.ZipInfo(f"{folder}/licenses/{name}", out[0][0].date_time)
        info.external_attr = 0o100644 << 16
        out.append((info, data))
    for info, data in out:
        record += entry(info.filename, data)
    info = zipfile.ZipInfo(f"{folder}/RECORD", out[0][0].date_time)
    info.external_attr = 0o100644 << 16
    out.append((info, (record + f"{folder}/RECORD,,\n").encode()))

    partial = f"{wheel}.partial"
    with zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for info, data in out:
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, data)
    os.replace(partial, wheel)
    print(f"{Path(wheel).name} carries {', '.join(sorted(packages))}")


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
