"""order -- what is pointed at is durable before what points at it.

Traces an ingest with strace and checks, in the trace:

    a pack        its last write, its fsync, its rename into packs/, the fsync
                  of that folder, and only then the next write to the
                  database's log by the thread that sealed it
    the record    the same into roots/; after the packs, all of whose rows are
                  in the log and synced by then
    the commit    the log is written, synced, and not written again
    the words     success is printed after all that

Then shows that the checker can fail: from a good trace it takes one line at a
time that the rules need, and each time must notice.
"""
import os
import random
import re

from rounds import (IERI, WORK, Store, Wrong, change_tree, make_tree, need,
                    run, script)

CALLS = "write,pwrite64,writev,pwritev,ftruncate,fsync,fdatasync," \
        "rename,renameat,renameat2"
LOG = "index/index.db-wal"


class Event:
    """A call: its lines in the trace, thread, name and paths."""

    def __init__(self, begin, thread, call, words):
        self.begin, self.end = begin, begin
        self.thread, self.call, self.words = thread, call, words
        self.path = self.other = None

    def close(self, end, words, top):
        """The rest has been seen; paths become relative to the store."""
        self.end = end
        self.words += words
        self.failed = re.search(r"= -1 [A-Z]+", self.words) is not None
        if self.call.startswith("rename"):
            # renameat2(8</store/tmp>, "2.0", 9</store/packs/71>, "ID.pack"
            dirs = re.findall(r"\d+<([^>]*)>", self.words)
            names = re.findall(r'"([^"]*)"', self.words)
            paths = [os.path.join(d, n) for d, n in
                     zip(dirs or ["", ""], names)]
            self.path, self.other = [os.path.relpath(p, top) for p in paths]
            self.call = "rename"
            return
        fd = re.match(r"\((\d+)(?:<([^>]*)>)?", self.words)
        self.path = fd.group(2) or ""
        if self.path.startswith(top + "/"):
            self.path = os.path.relpath(self.path, top)
        if self.call in ("fsync", "fdatasync"):
            self.call = "fsync"
        else:
            self.call = "print" if fd.group(1) == "1" else "write"


def parse(lines, top):
    events, pending = [], {}
    for at, line in enumerate(lines):
        m = re.match(r"(\d+) +(?:<\.\.\. )?(\w+)(.*)", line)
        if not m or "+++" in line or "---" in line:
            continue
        thread, call, words = m.groups()
        if words.startswith(" resumed>"):
            e = pending.pop((thread, call))
            e.close(at, words[len(" resumed>"):], top)
            continue
        e = Event(at, thread, call, words.replace("<unfinished ...>", ""))
        events.append(e)
        if "<unfinished ...>" in words:
            pending[thread, call] = e
        else:
            e.close(at, "", top)
    return [e for e in events if not e.failed]


def first(events, what, call, path, after, before, thread=None):
    """The first such call wholly between two lines."""
    for e in events:
        if (e.call == call and e.path == path and e.begin > after and
                e.end < before and thread in (None, e.thread)):
            return e
    raise Wrong("no %s of %s between lines %d and %d: %s" %
                (call, path, after + 1, before + 1, what))


def last_write(events, path):
    return max([e.end for e in events if e.call == "write" and
                e.path == path], default=-1)


def check_publish(events, rename, end):
    """Up to the fsync of the folder, which is the answer; the log may not be
    written by that thread before it."""
    pointing = [e.begin for e in events if e.call == "write" and
                e.path == LOG and e.begin > rename.end and
                e.thread == rename.thread]
    written = last_write(events, rename.path)
    need(written >= 0, "%s was never written" % rename.path)
    need(last_write(events, rename.other) < 0,
         "%s was written under its name" % rename.other)
    first(events, "its bytes", "fsync", rename.path, written, rename.begin)
    return first(events, "its name", "fsync", os.path.dirname(rename.other),
                 rename.end, min(pointing, default=end))


def check_logged(events, thread, after, before, what):
    """Written to the log by this thread, and synced."""
    written = first(events, what, "write", LOG, after, before, thread)
    first(events, what, "fsync", LOG, written.end, before)


def check(lines, top, n_packs):
    """Raises Wrong; n_packs is the least that makes the trace worth it."""
    events = parse(lines, top)
    printed = [e for e in events if e.call == "print"]
    need(printed, "nothing was printed")
    end = printed[0].begin
    renames = [e for e in events if e.call == "rename"]
    packs = [e for e in renames if e.other.startswith("packs/")]
    roots = [e for e in renames if e.other.startswith("roots/")]
    need(len(packs) >= n_packs, "only %d packs" % len(packs))
    need(len(roots) == 1, "%d root records" % len(roots))
    for pack in packs:
        named = check_publish(events, pack, end)
        check_logged(events, pack.thread, named.end, roots[0].begin,
                     "the row of " + pack.other)
    named = check_publish(events, roots[0], end)
    check_logged(events, roots[0].thread, named.end, end, "the snapshot")
    written = last_write(events, LOG)
    need(written < end, "the log is written after success was said")
    first(events, "the commit", "fsync", LOG, written, end)
    return events


def needed(events):
    """Lines that the rules need: syncs of packs, of their folders, of the
    record, of its folder, and of the log at the end."""
    out = [e for e in events if e.call == "fsync" and
           e.path.startswith(("tmp/", "packs/", "roots"))]
    out += [e for e in events if e.call == "fsync" and e.path == LOG][-1:]
    return out


def check_can_fail(lines, top, n_packs):
    """Takes away each needed line, and prints before the last sync."""
    events = check(lines, top, n_packs)
    doctored = []
    for e in needed(events):
        doctored.append((e, [x for i, x in enumerate(lines)
                             if i not in (e.begin, e.end)]))
    words = [e for e in events if e.call == "print"][0]
    moved = list(lines)
    moved.insert(needed(events)[-1].begin, moved.pop(words.begin))
    doctored.append((words, moved))
    for e, bad in doctored:
        try:
            check(bad, top, n_packs)
        except Wrong:
            continue
        raise Wrong("a trace without %s of %s passed" % (e.call, e.path))
    return len(doctored)


def traced(store, source, threads):
    trace = WORK + "/trace"
    # Under ptrace the leak checker cannot work.
    done = run("strace", "-f", "-y", "-s", "0", "-o", trace, "-e",
               "trace=" + CALLS, IERI, "ingest", "-s", store.path, "--json",
               "--threads", threads, store.resource, source,
               env={"ASAN_OPTIONS": "detect_leaks=0"})
    need(done.status == 0, "under strace: " + done.words())
    with open(trace) as f:
        return f.read().splitlines()


def one(store, source, threads, n_packs):
    lines = traced(store, source, threads)
    n = check_can_fail(lines, store.path, n_packs)
    print("%d threads: %d lines in order; %d doctored traces noticed" %
          (threads, len(lines), n))


def main():
    dice = random.Random(1)
    source = WORK + "/source"
    probe = run("strace", "-o", "/dev/null", "true")
    if probe.status:
        print("skipped: strace may not trace here: " + probe.err)
        return 77
    store = Store(WORK + "/store").init()
    make_tree(source, dice)
    one(store, source, 1, 2)
    change_tree(source, dice)
    one(store, source, 1, 2)

    # Many packs, sealed by several threads.
    store.set_pack_target(64 * 1024)
    for i in range(40):
        with open("%s/more%d" % (source, i), "wb") as f:
            f.write(dice.randbytes(90 * 1024))
    one(store, source, 3, 6)
    return 0


if __name__ == "__main__":
    script(main)
