"""sweep -- an ingest with its first call failing, then its second, and so on.

Needs no list of calls and never grows old: a call added next year is failed by
this loop too.  After each round the store must open, what was committed must
read back whole, and success must have been said exactly when it was due.

    sweep.py ingest        an ordinary second ingest
    sweep.py recovery      an ingest that first clears away a dead session
    sweep.py fresh-log     an ingest that finds the database without its log
"""
import json
import os
import random
import re
import sqlite3
import sys

from rounds import (SANITIZER, WORK, Fault, Store, Watch, Wrong, change_tree,
                    make_tree, many, need, script, tree)

# A call that fails here may leave a success a success; each with its reason.
HARMLESS = [
    ("[a-z]+", r"index/ids(/.*)?",
     "the id table is derived: who misses it makes it again"),
    ("unlink", r"run/[0-9]+\.lock",
     "a lock without a session's row is removed by the next session"),
    ("fsync", r"index",
     "SQLite does not ask whether the folder of its log was synced; ieri has"
     " synced it itself when it made the log"),
]

# While a dead session is cleared away: opening the store tries that and may
# fail, since readers can do without; the session tries again and may not.
TRIED_AGAIN = "what failed at opening is done again by the session"

UNKNOWN = "cannot tell whether this was committed"

# what goes wrong: how, from then on, in which part, may the ingest fail
KINDS = [
    ("EIO", False, "", True),
    ("ENOSPC", False, "", True),
    ("EIO", True, "", True),
    ("ENOSPC", True, "", True),
    ("EIO", True, "index/", True),
    ("EINTR", False, "", False),
    ("SHORT", False, "", False),
]

# Rebuilding the index is slower than the rest and is sampled.
REBUILD_EVERY = 7

# Rounds between two looks at whether it is done.
BATCH = 28

# Sanitizers make each round many times slower.
STRIDE = 3 if SANITIZER else 1


class Stage:
    """What all rounds start from; set before the workers are forked."""
    base = None       # Store with a snapshot, and perhaps a dead session
    source = None
    committed = None  # id -> tree of what is committed in it
    changed = None    # the tree that is to be ingested
    opening = 0       # calls that clear away a dead session for readers


stage = Stage()


def excuse(report):
    for call, path, reason in HARMLESS:
        if re.fullmatch(call, report.call) and re.fullmatch(path, report.path):
            return reason
    return TRIED_AGAIN if report.calls <= stage.opening else None


def check_rebuilt(store, wanted):
    copy = store.copy(store.path + ".rebuilt")
    done = copy.ieri("rebuild-index", "-q")
    need(done.status == 0, "rebuild-index: " + done.words())
    need(copy.list() == wanted, "a rebuilt index lists %s, not %s" %
         (copy.list(), wanted))
    copy.remove()


def check_after(store, committed, nth):
    """The store as the ingest left it, and then the next ingest, whose report
    is the answer."""
    ids = list(committed)
    store.check_independently(committed)
    need(store.list() == ids, "listed: %s, wanted %s" % (store.list(), ids))
    for snapshot in ids:
        store.check_restored(snapshot, committed[snapshot], snapshot)
    if nth % REBUILD_EVERY == 0:
        check_rebuilt(store, ids)

    said = store.ingest_well(stage.source)
    committed = dict(committed)
    committed[said["snapshot"]] = stage.changed
    need(store.list() == list(committed), "the next ingest is not listed")
    store.check_restored(said["snapshot"], stage.changed, "the next ingest")
    store.check_independently(committed)
    need(store.roots() == sorted(committed), "root records: %s, wanted %s" %
         (store.roots(), sorted(committed)))
    need(not store.leftovers(), "left over: %s" % store.leftovers())
    return said


def settle_unknown(store, committed, done, words):
    """The disk refused the commit and then the question what became of it.
    The ingest said so; what the next reader finds is the truth."""
    found = set(store.list()) - set(committed)
    need(len(found) <= 1, words)
    for snapshot in found:
        committed[snapshot] = stage.changed


def one(how, on, part, may_fail, nth):
    """One round; the shim's report, the ingest's status, and the excuse that
    was needed."""
    store = stage.base.copy("%s/round.%d" % (WORK, os.getpid()))
    fault = Fault(how, nth, on, part)
    committed = dict(stage.committed)
    reason = None

    done, report = store.ingest_faulty(stage.source, fault)
    words = "%s, %s: %s" % (fault, report, done.words())
    need(done.status in (0, 1), words)
    if done.status == 0:
        if report.fired and may_fail:
            reason = excuse(report)
            need(reason, "swallowed: " + words)
        new = set(store.list()) - set(committed)
        need(len(new) == 1, "one new snapshot, not %s: %s" % (new, words))
        need(new <= {json.loads(done.out)["snapshot"]},
             "another snapshot was named: " + words)
        committed[new.pop()] = stage.changed
    else:
        need(report.fired and may_fail, words)
        need(done.err.count("\n") == 1 and done.err.startswith("ieri "),
             "not one line that names the cause: " + words)
        need(not done.out, "it failed and yet printed: " + words)
        if UNKNOWN in done.err:
            need(on, "one fault is not enough for that: " + words)
            settle_unknown(store, committed, done, words)
    try:
        check_after(store, committed, nth)
    except Wrong as why:
        raise Wrong("%s; after %s" % (why, words))
    store.remove()
    return report, done.status, reason


def rounds_of(kind):
    """Until an ingest runs through untouched; (rounds, failed, excuses, the
    calls that made an ingest fail)."""
    first, failed, excuses, fired, untouched = 1, 0, {}, 0, 0
    fatal = set()
    while not untouched and first < 5000:
        jobs = [kind + (n,) for n in range(first, first + BATCH, STRIDE)]
        answers, bad = many(one, jobs)
        first += BATCH
        failed += bad
        for _, (report, status, reason) in answers:
            fired += report.fired > 0
            untouched += report.fired == 0
            if reason:
                excuses.setdefault(reason, set()).add(report.call)
            if status:
                fatal.add((report.call, report.path))
        if not answers:
            break
    need(fired, "nothing ever fired: %s" % (kind,))
    need(untouched or failed, "no ingest ran through: %s" % (kind,))
    return fired + untouched + failed, failed, excuses, fatal


def prepare(seed):
    dice = random.Random(seed)
    stage.source = WORK + "/source"
    make_tree(stage.source, dice)
    old = tree(stage.source)
    stage.base = Store(WORK + "/base").init()
    first = stage.base.ingest_well(stage.source)["snapshot"]
    change_tree(stage.source, dice)
    stage.changed = tree(stage.source)
    stage.committed = {first: old}


def calls_before(store, call, beginning):
    """How many calls an ingest makes up to this one, which is included."""
    trace = WORK + "/trace"
    copy = store.copy(WORK + "/traced")
    copy.ingest_faulty(stage.source, Fault(trace=trace))
    copy.remove()
    n = 0
    with open(trace) as f:
        for line in f:
            _, name, path, other, _ = line.rstrip("\n").split("\t")
            n += name != "flock"
            if name == call and (other or path).startswith(beginning):
                os.unlink(trace)
                return n
    raise Wrong("no %s of %s" % (call, beginning))


def prepare_dead_session():
    """Killed between the root record and the commit: all that a session can
    leave lies there."""
    nth = calls_before(stage.base, "rename", "roots/")
    done, report = stage.base.ingest_faulty(stage.source, Fault("AFTER", nth))
    need(done.status == -9 and report.call == "rename", "it is killed there")
    need(len(stage.base.roots()) == 2, "its root record stays behind")
    stage.opening = calls_before(stage.base, "open", "run/store.lock") - 1


def prepare_without_log():
    """As a stranger leaves the database who opened and closed it."""
    db = sqlite3.connect(stage.base.path + "/index/index.db")
    db.execute("SELECT count(*) FROM snapshot").fetchone()
    db.close()
    need(not os.path.exists(stage.base.path + "/index/index.db-wal"),
         "the log is gone")


def main():
    what = sys.argv[1]
    seed = int(os.environ.get("SEED") or random.randrange(10**9))
    total = bad = 0
    kinds = KINDS

    print("%s, seed %d" % (what, seed), flush=True)
    prepare(seed)
    if what == "recovery":
        prepare_dead_session()
        kinds = [k for k in KINDS if k[0] == "EIO"]
    elif what == "fresh-log":
        prepare_without_log()
        kinds = KINDS[:1]
    for kind in kinds:
        watch = Watch()
        n, failed, excuses, fatal = rounds_of(kind)
        if what == "fresh-log" and STRIDE == 1:
            need(("fsync", "index") in fatal, "who made the log did not ask"
                 " whether its folder was synced")
        print("%s%s%s: %d rounds, %d failed, %s" %
              (kind[0], " from then on" if kind[1] else "",
               " in " + kind[2] if kind[2] else "", n, failed,
               watch.seconds()))
        for reason, calls in sorted(excuses.items()):
            print("    success in spite of a failed %s: %s" %
                  (", ".join(sorted(calls)), reason))
        sys.stdout.flush()
        total += n
        bad += failed
    print("%s: %d rounds, %d failed" % (what, total, bad))
    return 1 if bad else 0


if __name__ == "__main__":
    script(main)
