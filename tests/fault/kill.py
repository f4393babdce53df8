"""kill -- ingests killed by SIGKILL; nothing committed is lost, nothing sticks.

    kill.py exact         just before and just after each call, by the shim
    kill.py random N      N ingests of a real tree at random moments
"""
import json
import os
import random
import signal
import subprocess
import sys
import time

import sweep
from rounds import (IERI, SANITIZER, WORK, Fault, Store, Watch, many, need,
                    script, tree)

# Small enough that a killed ingest has sealed some.
PACK_TARGET = 256 * 1024

FILES = 2000
REWRITTEN = 250     # files a day, and how long each is at most
LONGEST = 12 * 1024


# ---- At each call ----

def exact_one(how, nth):
    """A round: (killed at, a snapshot was committed, packs used again)."""
    store = sweep.stage.base.copy("%s/round.%d" % (WORK, os.getpid()))
    committed = dict(sweep.stage.committed)
    old = set(store.packs())

    done, report = store.ingest_faulty(sweep.stage.source, Fault(how, nth))
    words = "%s %s: %s" % (how, report, done.words())
    need(done.status == (-signal.SIGKILL if report.fired else 0), words)
    sealed = set(store.packs()) - old
    found = store.list()
    need(found[:1] == list(committed) and len(found) <= 2, words)
    # Success is said last: who has read it finds the snapshot.
    if done.out:
        need(json.loads(done.out)["snapshot"] in found, words)
    for snapshot in found[1:]:
        committed[snapshot] = sweep.stage.changed
    sweep.check_after(store, committed, nth)
    need(sealed <= store.packs_named(),
         "packs sealed before the kill were dropped: " + words)
    store.remove()
    return report, len(found) > 1, bool(sealed) and len(found) == 1


def exact():
    failed = total = committed = again = fired = 0
    sweep.prepare(random.randrange(10**9))
    for how in ("BEFORE", "AFTER"):
        first, untouched = 1, False
        while not untouched and first < 2000:
            jobs = [(how, n) for n in
                    range(first, first + sweep.BATCH, sweep.STRIDE)]
            answers, bad = many(exact_one, jobs)
            first += sweep.BATCH
            failed += bad
            total += len(jobs)
            for _, (report, is_in, used) in answers:
                untouched = untouched or not report.fired
                fired += report.fired
                committed += is_in and report.fired
                again += used
            if not answers:
                break
    print("%d rounds, %d killed: %d after the commit; packs of %d killed"
          " ingests used again; %d failed" %
          (total, fired, committed, again, failed))
    need(fired and committed and again, "a kind of round never happened")
    return failed


# ---- At random moments ----

class Campaign:
    """One store that lives through many kills."""

    def __init__(self, number, seed):
        self.dice = random.Random(seed)
        self.top = "%s/campaign%d" % (WORK, number)
        self.source = self.top + "/source"
        for i in range(40):
            os.makedirs("%s/d%02d/sub" % (self.source, i))
        for i in range(FILES):
            self.write(i, self.dice.randrange(1, 8192))
        self.store = Store(self.top + "/store").init(PACK_TARGET)
        self.committed = {}
        began = time.monotonic()
        self.commit()
        self.patience = time.monotonic() - began
        self.sealed = self.again = self.late = 0

    def write(self, i, size):
        with open("%s/d%02d/%sfile%04d" % (
                self.source, i % 40, "sub/" if i % 3 else "", i), "wb") as f:
            f.write(self.dice.randbytes(size))

    def day(self):
        """Changes the tree; bytes that no snapshot can have."""
        fresh = 0
        for i in self.dice.sample(range(FILES), REWRITTEN):
            size = self.dice.randrange(1, LONGEST)
            self.write(i, size)
            fresh += size
        return fresh

    def commit(self):
        said = self.store.ingest_well(self.source, threads=2)
        self.committed[said["snapshot"]] = tree(self.source)
        return said

    def kill(self):
        child = subprocess.Popen(
            [IERI, "ingest", "-s", self.store.path, "--json", "--threads",
             "2", self.store.resource, self.source],
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
            stdin=subprocess.DEVNULL)
        time.sleep(self.dice.uniform(0, self.patience))
        child.kill()
        out, _ = child.communicate()
        return out

    def check(self, every):
        ids = list(self.committed)
        need(self.store.list() == ids, "listed %s, not %s" %
             (self.store.list(), ids))
        for snapshot in ids if every else ids[-1:]:
            self.store.check_restored(snapshot, self.committed[snapshot],
                                      snapshot)

    def round(self, n):
        fresh = self.day()
        old = set(self.store.packs())
        out = self.kill()
        sealed = set(self.store.packs()) - old
        new = [s for s in self.store.list() if s not in self.committed]
        need(len(new) <= 1, "more than one new snapshot")
        need(not out or new, "said to be committed, but not listed")
        # So that most die before their commit, however busy the machine.
        self.patience *= 0.8 if new else 1.06
        if new:
            self.late += 1
            self.committed[new[0]] = tree(self.source)
        kept = sum(os.path.getsize("%s/packs/%s/%s.pack" %
                                   (self.store.path, p[:2], p))
                   for p in sealed)
        self.check(n % 20 == 19)
        said = self.commit()
        need(sealed <= self.store.packs_named(), "sealed packs were dropped")
        need(not self.store.leftovers(), "left over: %s" %
             self.store.leftovers())
        need(self.store.roots() == sorted(self.committed), "root records")
        if sealed and not new:
            self.sealed += 1
            # What lies in them is not stored again; directories may be.
            need(said["added"] < fresh - kept + 300 * 1024,
                 "%d bytes are new, sealed packs held %d, and yet %d were"
                 " added" % (fresh, kept, said["added"]))
            self.again += said["added"] < fresh

    def run(self, n):
        for i in range(n):
            self.round(i)
        self.check(True)
        self.store.check_independently(
            {s: self.committed[s] for s in list(self.committed)[-3:]})


def campaign(number, seed, n):
    c = Campaign(number, seed)
    c.run(n)
    return n, c.late, c.sealed, c.again, len(c.committed)


def at_random(n):
    seed = int(os.environ.get("SEED") or random.randrange(10**9))
    print("random moments, seed %d" % seed, flush=True)
    answers, failed = many(campaign, [(i, seed + i, n // 2) for i in range(2)])
    total = [sum(column) for column in zip(*[a for _, a in answers])]
    if total:
        print("%d kills, %d of them after the commit; %d left sealed packs,"
              " %d next ingests were smaller for it; %d snapshots, each whole"
              % tuple(total))
        need(total[3], "no killed ingest had sealed anything")
    return failed


def main():
    watch = Watch()
    if sys.argv[1] == "exact":
        failed = exact()
    else:
        n = int(sys.argv[2])
        failed = at_random(max(10, n // 5) if SANITIZER else n)
    print(watch.seconds())
    return 1 if failed else 0


if __name__ == "__main__":
    script(main)
