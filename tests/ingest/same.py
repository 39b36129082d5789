"""The same random tree, whichever way it comes: as a folder, a tar of each format, a stream or a webdataset.

Trees have class folders, folders within them, odd names, hard and symbolic links to files and folders, files that are no
images, hidden and junk folders. Records, labels and what is set aside must be the same. A stream cannot follow links: it
must list them, and give the same as the folder if the tar was packed without. AN_TEST_SEEDS=N tries more trees.
"""
import io
import os
import pathlib
import random
import subprocess
import sys
import tarfile
import tempfile
import unittest

sys.dont_write_bytecode = True
from pictures import png

try:
    import lmdb
except ImportError as missing:
    print(f"skipped: {missing}; apt-get install python3-lmdb")
    sys.exit(77)

PROGRAM = os.path.join(os.environ["AN_BIN_DIR"], "an-ingest")
SEEDS = int(os.environ.get("AN_TEST_SEEDS", "6"))
ODD = ["plain", "with space", "ünïcode", "back\\slash", "quote'\"", "#hash", "-dash", "a.b.c", "1", "10", "2", "end.", "~", "new\nline",
       b"latin\xe9".decode("utf-8", "surrogateescape"), "set", "x.tar.d"]


class Tree:
    """A random tree under root. long: with names that the oldest formats cannot hold."""

    def __init__(self, root, seed):
        self.root, self.rng, self.long = root, random.Random(seed), seed % 2 == 1
        self.files, self.serial = [], 0
        classes = self.rng.sample(ODD, self.rng.randint(2, 6))
        for name in classes:
            self.fill(root / name, self.rng.randint(0, 2))
        self.classes = sorted(classes, key=os.fsencode)
        self.junk()
        self.links()

    def name(self, ending):
        self.serial += 1
        stem = self.rng.choice(ODD) + str(self.serial) + ("y" * 120 if self.long and self.rng.random() < 0.3 else "")
        return stem + self.rng.choice(ending)

    def put(self, folder, name, data):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(data)

    def fill(self, folder, depth):
        for _ in range(self.rng.randint(1, 5)):
            name = self.name([".png", ".jpg", ".PNG", ".jpeg", ""])
            self.put(folder, name, png(self.rng.randrange(1 << 30)))
            self.files.append(folder / name)
        if self.rng.random() < 0.3:
            self.put(folder, self.name([".txt", ".jpg", ".json"]), self.rng.choice([b"", b"no image", png(1)[:60]]))
        for _ in range(depth):
            self.fill(folder / self.name([""]), depth - 1)

    def junk(self):
        some = self.rng.choice(self.classes)
        self.put(self.root, "README.md", b"hello")
        self.put(self.root, "beside.png", png(2))
        self.put(self.root / "__MACOSX" / some, "._1.png", b"\0\5\x16\7")
        self.put(self.root / some / "@eaDir" / "1.png", "thumb.jpg", png(3))
        self.put(self.root / some, ".hidden.png", png(4))
        self.put(self.root / ".git", "x.png", png(5))
        self.put(self.root / "packed.partial", "data.mdb", bytes(100))
        (self.root / "lost+found").mkdir()

    def links(self):
        for i in range(self.rng.randint(1, 4)):
            target = self.rng.choice(self.files)
            folder = self.root / self.rng.choice(self.classes)
            os.link(target, folder / f"hard{i}.png")
            (folder / f"soft{i}.png").symlink_to(os.path.relpath(target, folder))
            (folder / f"twice{i}.png").symlink_to(f"soft{i}.png")
        store = self.root / ".store"
        self.put(store, "blob", png(7))
        (self.root / self.classes[0] / "stored.png").symlink_to("../.store/blob")
        others = self.rng.sample(self.classes, 2)
        (self.root / "linked class").symlink_to(others[0])
        (self.root / others[1] / "inside").symlink_to(f"../{others[0]}")
        self.classes = sorted([*self.classes, "linked class"], key=os.fsencode)

    def break_links(self):
        folder = self.root / self.classes[-1]
        (folder / "gone.png").symlink_to("../none/1.png")
        (folder / "circle.png").symlink_to("circle2.png")
        (folder / "circle2.png").symlink_to("circle.png")
        (self.root / "gone class").symlink_to("nowhere")


def ingest(source, destination, *options, stdin=None):
    result = subprocess.run([PROGRAM, "--quiet", "--size", "8", "--threads", "2", "--max-bad", "90%", *options, source, destination],
                            stdin=stdin, capture_output=True)
    if result.returncode:
        raise AssertionError(result.stderr.decode(errors="replace"))
    return result.stderr.decode(errors="surrogateescape")


def contents(destination, prefix=""):
    """Records as (name, record with its label), inputs set aside as names, classes: each sorted."""
    with lmdb.open(str(destination), readonly=True, lock=False, max_dbs=8) as environment, environment.begin() as view:
        def items(name):
            return [value for _, value in view.cursor(environment.open_db(name, view, create=False))]

        def trimmed(name):
            return os.fsdecode(name).removeprefix(prefix)

        names = [trimmed(value[4:]) for value in items(b"names")]
        records = sorted(zip(names, items(b"records")))
        aside = sorted(trimmed(value[8:value.index(b"\0", 8)]) for value in items(b"rejected"))
        return records, aside, [value.split(b"\0")[0] for value in items(b"classes")]


class SameTree(unittest.TestCase):
    def setUp(self):
        self.folder = tempfile.TemporaryDirectory(prefix="an-same-")
        self.work = pathlib.Path(self.folder.name)
        self.addCleanup(self.folder.cleanup)
        self.made = 0

    def make(self, source, *options, prefix="", stdin=None):
        self.made += 1
        destination = self.work / f"out{self.made}"
        ingest(source, destination, *options, stdin=stdin)
        return contents(destination, prefix)

    def tar(self, *options):
        self.made += 1
        path = self.work / f"{self.made}.tar"
        subprocess.run(["tar", "-cf", path, *options], check=True, env={**os.environ, "LC_ALL": "C.UTF-8"})
        return path

    def stream(self, tar, classes=None, prefix=""):
        with open(tar, "rb") as file:
            return self.make("-", "--classes-from", classes or self.work / "out1", prefix=prefix, stdin=file)

    def same(self, wanted, got, what):
        for part, one, other in zip(("records", "set aside", "classes"), wanted, got):
            self.assertEqual(one, other, f"{part} of {what}")

    def webdataset(self, wanted):
        """The records of wanted as samples, in a tar with a list of its classes: folders can have names that a .cls cannot hold."""
        ids = [f"class-{label}" for label in range(len(wanted[2]))]
        (self.work / "ids").write_text("\n".join(ids) + "\n")
        records = [(f"{i:05}", self.tree.root / name, label_of(record)) for i, (name, record) in enumerate(wanted[0])]
        path = self.work / "web.tar"
        with tarfile.open(path, "w") as tar:
            for key, file, label in records:
                for name, data in ((f"{key}.jpg", file.read_bytes()), (f"{key}.cls", ids[label].encode())):
                    member = tarfile.TarInfo(name)
                    member.size = len(data)
                    tar.addfile(member, io.BytesIO(data))
        numbered = [(f"{key}.jpg", record) for (key, _, _), (_, record) in zip(records, wanted[0])]
        return path, self.work / "ids", (numbered, [], [name.encode() for name in ids])

    def check_whole(self, seed):
        """Without links that lead nowhere: folder, tars in files, dereferenced streams, webdataset."""
        root, wanted = self.tree.root, self.make(self.tree.root)
        self.assertEqual(wanted[2], [os.fsencode(name) for name in self.tree.classes])
        self.assertIn("beside.png", wanted[1])
        for style in ("pax", "gnu") if self.tree.long else ("v7", "ustar", "pax", "gnu"):
            self.same(wanted, self.make(self.tar(f"--format={style}", "-C", root, ".")), f"tar {style}, seed {seed}")
            self.same(wanted, self.make(self.tar(f"--format={style}", "--sort=name", "-C", root.parent, root.name), prefix=f"{root.name}/"),
                      f"tar {style} with a top folder, seed {seed}")
        flat = self.tar("--dereference", "--hard-dereference", "--exclude=.store", "-C", root, ".")
        packed = self.work / "flat.tar.gz"
        packed.write_bytes(subprocess.run(["gzip", "-c", flat], check=True, capture_output=True).stdout)
        self.same(wanted, self.make(flat), f"dereferenced tar, seed {seed}")
        self.same(wanted, self.stream(flat), f"stream, seed {seed}")
        self.same(wanted, self.stream(packed), f"tar.gz, seed {seed}")
        web, ids, numbered = self.webdataset(wanted)
        self.same(numbered, self.make(web, "--classes-from", ids), f"webdataset, seed {seed}")
        self.same(numbered, self.stream(web, ids), f"webdataset as a stream, seed {seed}")

    def check_broken(self, seed):
        """With links that lead nowhere, which are set aside; a stream sets all links aside."""
        root = self.tree.root
        self.tree.break_links()
        wanted = self.make(root)
        for name in ("gone.png", "circle.png"):
            self.assertIn(f"{self.tree.classes[-1]}/{name}", wanted[1])
        self.assertIn("gone class", wanted[1])
        tar = self.tar("-C", root.parent, root.name)
        self.same(wanted, self.make(tar, prefix=f"{root.name}/"), f"tar with broken links, seed {seed}")
        streamed = self.stream(tar, prefix=f"{root.name}/")
        with tarfile.open(tar) as members:
            links = {m.name.removeprefix(f"{root.name}/") for m in members if m.issym() or m.islnk()}
        self.same(([r for r in wanted[0] if not is_through(r[0], links)],
                   sorted({n for n in wanted[1] if not is_through(n, links)} | links)), streamed, f"stream with links, seed {seed}")

    def test_trees(self):
        for seed in range(SEEDS):
            self.setUp()
            self.tree = Tree(self.work / "in" / "tree", seed)
            self.check_whole(seed)
            self.check_broken(seed)
            self.folder.cleanup()


def label_of(record):
    return int.from_bytes(record[12:16], "little")


def is_through(name, links):
    """Is the name a link, or reached through one?"""
    return any(name == link or name.startswith(f"{link}/") for link in links)


if __name__ == "__main__":
    unittest.main()
