"""enospc -- a store on a file system that fills up.

At each of many amounts of free space an ingest either succeeds or says "No
space left" and leaves everything as it was; what was committed stays readable
without a byte free, and once there is room again the next ingest succeeds.  A
full TMPDIR, /tmp or /var/tmp elsewhere does not matter.
"""
import os
import random
import shutil
import subprocess

from rounds import (IERI, SANITIZER, WORK, Store, change_tree, make_tree, need,
                    run, script, tree)

SIZE = 24 << 20     # of the file system
STEPS = 15 if SANITIZER else 60
STEP = (64 if SANITIZER else 16) << 10 # from no byte free on


def mount(at, size):
    os.makedirs(at, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=%d" % size, "none",
                    at], check=True)


def unmount(at):
    subprocess.run(["umount", at], check=False)


def fill(at, free):
    """A file that leaves this much; its name."""
    name = at + "/filler"
    st = os.statvfs(at)
    left = st.f_bavail * st.f_frsize - free
    with open(name, "wb") as f:
        os.posix_fallocate(f.fileno(), 0, left)
    st = os.statvfs(at)
    need(st.f_bavail * st.f_frsize <= free, "it is as full as it should be")
    return name


class Bench:
    def __init__(self):
        dice = random.Random(int(os.environ.get("SEED") or 3))
        self.source = WORK + "/source"
        make_tree(self.source, dice)
        self.old = tree(self.source)
        self.base = Store(WORK + "/base").init()
        self.first = self.base.ingest_well(self.source)["snapshot"]
        change_tree(self.source, dice)
        self.new = tree(self.source)

    def check_old(self, at, words):
        """Restored elsewhere, for there is no room here."""
        need(at.list() == [self.first], "listed: %s, %s" % (at.list(), words))
        dest = WORK + "/restored"
        shutil.rmtree(dest, ignore_errors=True)
        done = at.ieri("restore", "-q", "%s@%s" % (at.resource, self.first),
                       dest)
        need(done.status == 0, "%s: restore: %s" % (words, done.words()))
        need(tree(dest) == self.old, words + ": restored otherwise")

    def step(self, free):
        """True when the ingest found room enough."""
        top = WORK + "/full"
        mount(top, SIZE)
        try:
            store = self.base.copy(top + "/store")
            filler = fill(top, free)
            words = "%d bytes free" % free
            done = store.ingest(self.source)
            if done.status == 0:
                need(len(store.list()) == 2, words)
            else:
                need(done.status == 1, "%s: %s" % (words, done.words()))
                need("No space left" in done.err,
                     "%s: names no cause: %s" % (words, done.words()))
                self.check_old(store, words)
            os.unlink(filler)
            wanted = {s: self.old for s in store.list()[:1]}
            wanted.update({s: self.new for s in store.list()[1:]})
            wanted[store.ingest_well(self.source)["snapshot"]] = self.new
            need(store.list() == list(wanted), words)
            store.check_independently(wanted)
            need(store.roots() == sorted(wanted), words + ": root records")
            need(not store.leftovers(), "%s: left over: %s" %
                 (words, store.leftovers()))
            return done.status == 0
        finally:
            unmount(top)


def elsewhere(bench):
    """Whoever else is full is nobody's business."""
    store = bench.base.copy(WORK + "/whole")
    top = WORK + "/fulltmp"
    mount(top, 64 << 10)
    try:
        fill(top, 0)
        done = store.ingest(bench.source, env={
            "TMPDIR": top, "SQLITE_TMPDIR": top, "HOME": top})
        need(done.status == 0, "with a full TMPDIR: " + done.words())
        # A private view in which the system's own places are full too.
        if run("unshare", "-m", "true").status != 0:
            print("skipped: this machine gives no private view of mounts")
            return []
        places = [p for p in ("/tmp", "/var/tmp") if not any(
            os.path.realpath(q).startswith(p + "/")
            for q in (WORK, IERI, bench.source))]
        script = "".join("mount --bind %s %s && " % (top, p) for p in places)
        done = run("unshare", "-m", "sh", "-c",
                   script + 'exec "$@"', "sh", IERI, "ingest", "-s",
                   store.path, store.resource, bench.source)
        need(done.status == 0, "with full %s: %s" %
             (" and ".join(places), done.words()))
        store.check_independently(
            dict(zip(store.list(), [bench.old, bench.new, bench.new])))
    finally:
        unmount(top)
    return places


def main():
    bench = Bench()
    good = bad = 0
    for i in range(STEPS):
        if bench.step(i * STEP):
            good += 1
        else:
            bad += 1
    need(good and bad, "%d steps too full, %d not" % (bad, good))
    print("%d amounts of free space: too little in %d, enough in %d" %
          (STEPS, bad, good))
    print("full elsewhere without harm: TMPDIR %s" %
          " ".join(elsewhere(bench)))
    return 0


if __name__ == "__main__":
    script(main)
