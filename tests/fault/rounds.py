"""rounds -- what the fault tests share: ingests that go wrong, and judges.

A round takes a fresh copy of a store, lets one ingest go wrong in it, and asks
whether what was committed is whole.  Two judges look: ieri itself, and
tests/golden/read.py, which shares no code with it and reads packs and root
records alone.

Needs in the environment: BUILD, SOURCE, WORK.
"""
import contextlib
import hashlib
import importlib.util
import io
import json
import multiprocessing
import os
import re
import shutil
import sqlite3
import stat
import subprocess
import sys
import time

BUILD = os.environ["BUILD"]
SOURCE = os.environ["SOURCE"]
WORK = os.path.realpath(os.environ["WORK"])
IERI = os.path.join(BUILD, "ieri")
SHIM = os.path.join(BUILD, "tests", "fault_shim.so")
RESOURCE = "acme/web"
# A command that takes longer than this hangs.
PATIENCE = 120
WORKERS = min(2, os.cpu_count() or 1)

_spec = importlib.util.spec_from_file_location(
    "golden_read", os.path.join(SOURCE, "tests", "golden", "read.py"))
golden = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(golden)


class Wrong(Exception):
    """A claim that does not hold."""


def need(true, words):
    if not true:
        raise Wrong(words)


def script(main):
    """Runs it and ends; what does not hold is said in one line."""
    try:
        sys.exit(main())
    except Wrong as why:
        print("FAILED: %s" % why, file=sys.stderr)
        sys.exit(1)


# ---- Programs ----

def sanitizer():
    """The sanitizer's library ieri was linked with, which must be loaded
    before the shim, or an empty string."""
    out = subprocess.run(["ldd", IERI], capture_output=True, text=True).stdout
    found = re.search(r"=> (\S*lib[atu]b?san\S*)", out)
    return found.group(1) if found else ""


SANITIZER = sanitizer()


class Done:
    """How a program ended."""

    def __init__(self, status, out, err):
        self.status, self.out, self.err = status, out, err

    def words(self):
        return "status %d, said: %s" % (self.status,
                                        (self.out + self.err)[-600:])


def run(*args, env=None):
    every = dict(os.environ)
    every.pop("IERI_STORE", None)
    every.update(env or {})
    try:
        p = subprocess.run([str(a) for a in args], env=every, text=True,
                           stdin=subprocess.DEVNULL, capture_output=True,
                           errors="replace", timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        raise Wrong("hangs: %s" % " ".join(str(a) for a in args))
    return Done(p.returncode, p.stdout, p.stderr)


class Fault:
    """What shim.c is to do; how None only counts and traces."""

    def __init__(self, how=None, nth=0, on=False, part="", trace=None):
        self.how, self.nth, self.on = how, nth, on
        self.part, self.trace = part, trace

    def environment(self, directory, report):
        env = {"LD_PRELOAD": (SANITIZER + ":" if SANITIZER else "") + SHIM,
               "FAULT_DIR": directory, "FAULT_REPORT": report,
               "FAULT_NTH": str(self.nth), "FAULT_PART": self.part}
        if self.how:
            env["FAULT_HOW"] = self.how
        if self.on:
            env["FAULT_ON"] = "1"
        if self.trace:
            env["FAULT_TRACE"] = self.trace
        return env

    def __str__(self):
        return "%s%s%s at call %d" % (
            self.how, " from then on" if self.on else "",
            " in " + self.part if self.part else "", self.nth)


class Report:
    """What the shim says it did."""

    def __init__(self, path):
        with open(path) as f:
            calls, fired, self.call, self.path = f.read().split()
        self.calls, self.fired = int(calls), int(fired)

    def __str__(self):
        return "%s %s" % (self.call, self.path)


# ---- Trees ----

def file_sum(path):
    with open(path, "rb") as f:
        return hashlib.file_digest(f, "sha256").hexdigest()


def one_thing(path, st):
    """All that a snapshot must keep, in the words of golden/read.py."""
    out = {"mode": "%o" % st.st_mode, "uid": st.st_uid, "gid": st.st_gid,
           "mtime": "%d.%09d" % divmod(st.st_mtime_ns, 10**9)}
    names = os.listxattr(path, follow_symlinks=False)
    if names:
        out["xattrs"] = {n: os.getxattr(path, n, follow_symlinks=False).hex()
                         for n in names}
    if stat.S_ISLNK(st.st_mode):
        out["target"] = os.readlink(path)
    if stat.S_ISREG(st.st_mode):
        out["size"], out["sha256"] = st.st_size, file_sum(path)
        if st.st_nlink > 1:
            out["names"] = st.st_nlink
    return out


def tree(top):
    """path -> what is there; the top itself has the empty path."""
    out = {"": one_thing(top, os.lstat(top))}
    for folder, dirs, files in os.walk(top):
        for name in dirs + files:
            path = os.path.join(folder, name)
            out[os.path.relpath(path, top)] = one_thing(path, os.lstat(path))
    return out


def difference(wanted, got):
    """The first few differences in words, empty for none."""
    words = []
    for path in sorted(wanted.keys() | got.keys()):
        if wanted.get(path) != got.get(path):
            words.append("%s: wanted %s, got %s" %
                         (path or ".", wanted.get(path), got.get(path)))
    return "; ".join(words[:3])


def make_tree(top, random):
    """A small tree with one of each thing that is kept differently."""
    os.makedirs(top + "/docs/deep/er")
    os.makedirs(top + "/empty")
    with open(top + "/big", "wb") as f:
        f.write(random.randbytes(600 * 1024))
    for i in range(12):
        with open("%s/docs/note%02d.txt" % (top, i), "w") as f:
            f.write("note %d\n" % i * (1 + 37 * i))
    with open(top + "/docs/deep/er/last", "w") as f:
        f.write("deep down\n")
    with open(top + "/hole", "wb") as f:
        f.truncate(300 * 1024)
        f.write(b"front")
    os.symlink("docs/note01.txt", top + "/link")
    os.link(top + "/docs/note02.txt", top + "/docs/deep/also")
    os.mkfifo(top + "/pipe")
    with contextlib.suppress(OSError):
        os.setxattr(top + "/docs/note03.txt", "user.colour", b"green")
        os.setxattr(top + "/docs", "user.long", random.randbytes(900))


def change_tree(top, random):
    """What a day does to it: some of everything, two blocks' worth."""
    with open(top + "/big", "r+b") as f:
        f.seek(100 * 1024)
        f.write(random.randbytes(350 * 1024))
    with open(top + "/docs/note05.txt", "a") as f:
        f.write("one line more\n")
    os.mkdir(top + "/docs/fresh")
    with open(top + "/docs/fresh/new", "wb") as f:
        f.write(random.randbytes(5000))
    os.unlink(top + "/docs/note09.txt")
    with contextlib.suppress(OSError):
        os.setxattr(top + "/docs/note03.txt", "user.colour", b"blue")


# ---- Stores ----

class Store:
    def __init__(self, path, resource=RESOURCE):
        self.path, self.resource = path, resource

    def init(self, pack_target=None):
        done = run(IERI, "init", self.path, "--timezone", "UTC")
        need(done.status == 0, "init: " + done.words())
        if pack_target:
            self.set_pack_target(pack_target)
        return self

    def set_pack_target(self, size):
        """FORMAT.md, section 2."""
        with open(self.path + "/config", "r+b") as f:
            data = bytearray(f.read())
            data[60:64] = size.to_bytes(4, "little")
            data[504:512] = golden.total(data[:504]).to_bytes(8, "little")
            f.seek(0)
            f.write(data)

    def copy(self, path):
        shutil.rmtree(path, ignore_errors=True)
        subprocess.run(["cp", "-a", "--reflink=auto", self.path, path],
                       check=True)
        return Store(path, self.resource)

    def remove(self):
        shutil.rmtree(self.path, ignore_errors=True)

    def ieri(self, command, *args, env=None):
        return run(IERI, command, "-s", self.path, *args, env=env)

    def ingest(self, source, threads=1, env=None):
        return self.ieri("ingest", "--json", "--threads", threads,
                         self.resource, source, env=env)

    def ingest_faulty(self, source, fault, threads=1):
        """(how it ended, what the shim did)"""
        report = self.path + ".report"
        with contextlib.suppress(FileNotFoundError):
            os.unlink(report)
        done = self.ingest(source, threads,
                           fault.environment(self.path, report))
        return done, Report(report)

    def ingest_well(self, source, threads=1):
        """An ingest that must succeed; what it says of itself."""
        done = self.ingest(source, threads)
        need(done.status == 0, "an ingest without faults: " + done.words())
        return json.loads(done.out)

    def list(self):
        """Ids of the snapshots, oldest first."""
        done = self.ieri("list", "--json", self.resource)
        need(done.status == 0, "list: " + done.words())
        return [s["id"] for s in json.loads(done.out)["snapshots"]]

    def check_restored(self, snapshot, wanted, words):
        dest = self.path + ".restored"
        shutil.rmtree(dest, ignore_errors=True)
        done = self.ieri("restore", "-q",
                         "%s@%s" % (self.resource, snapshot), dest)
        need(done.status == 0, "restore of %s: %s" % (words, done.words()))
        differs = difference(wanted, tree(dest))
        need(not differs, "%s restored: %s" % (words, differs))
        shutil.rmtree(dest)

    def roots(self):
        return sorted(os.listdir(self.path + "/roots"))

    def packs(self):
        """Names of the sealed packs, without their ending."""
        out = []
        for folder in os.listdir(self.path + "/packs"):
            out += [name[:-5] for name in
                    os.listdir(self.path + "/packs/" + folder)]
        return sorted(out)

    def packs_named(self):
        """Those that the database names."""
        db = sqlite3.connect("file:%s/index/index.db?mode=ro" % self.path,
                             uri=True)
        try:
            return {bytes(row[0]).hex()
                    for row in db.execute("SELECT id FROM pack")}
        finally:
            db.close()

    def leftovers(self):
        return os.listdir(self.path + "/tmp") + [
            name for name in os.listdir(self.path + "/run")
            if name not in ("store.lock", "recover.lock", "gc.lock")]

    def check_independently(self, wanted):
        """Every snapshot by golden/read.py; wanted: id -> tree."""
        try:
            store = golden.Store(self.path)
            for snapshot in wanted:
                self.check_root(store, snapshot, wanted[snapshot])
        except golden.Wrong as why:
            raise Wrong("read.py: %s" % why)

    def check_root(self, store, snapshot, wanted):
        path = "%s/roots/%s" % (self.path, snapshot)
        need(os.path.exists(path), "snapshot %s has no root record" % snapshot)
        root = golden.Root(store, path, snapshot)
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            golden.walk(store, root, False)
        got = {}
        for line in said.getvalue().splitlines():
            thing = json.loads(line)
            got[thing.pop("path")] = thing
            for extra in ("serial", "number", "first", "device"):
                thing.pop(extra, None)
        differs = difference(wanted, got)
        need(not differs, "read.py, %s: %s" % (snapshot, differs))


# ---- Many rounds ----

def _guarded(job):
    judge, args = job
    try:
        return judge(*args), None
    except Wrong as why:
        return None, str(why)
    except Exception as why:  # a bug of the test counts as a failure
        return None, "%s: %s" % (type(why).__name__, why)


def many(judge, jobs):
    """Runs judge(*job) for each job, some at once; [(job, answer)] and how
    many failed.  A failure is printed when it happens."""
    answers, failed = [], 0
    with multiprocessing.get_context("fork").Pool(WORKERS) as pool:
        todo = [(judge, job) for job in jobs]
        for job, (answer, why) in zip(jobs, pool.imap(_guarded, todo)):
            if why:
                failed += 1
                if failed <= 20:
                    print("FAILED: %s: %s" % (" ".join(map(str, job)), why),
                          file=sys.stderr, flush=True)
            else:
                answers.append((job, answer))
    return answers, failed


class Watch:
    """Prints how long a part took."""

    def __init__(self):
        self.began = time.monotonic()

    def seconds(self):
        return "%.0f s" % (time.monotonic() - self.began)
