"""concurrent -- several at work in one store, and one stopped half way."""
import json
import os
import random
import signal
import subprocess
import time

from rounds import (IERI, PATIENCE, SANITIZER, WORK, Done, Store, change_tree,
                    difference, make_tree, need, script, tree)

ROUNDS = 2 if SANITIZER else 6


def start(store, resource, source):
    return subprocess.Popen(
        [IERI, "ingest", "-s", store.path, "--json", resource, source],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        stdin=subprocess.DEVNULL)


def finish(child):
    out, err = child.communicate(timeout=PATIENCE)
    return Done(child.returncode, out, err)


def until(true, words):
    end = time.monotonic() + PATIENCE
    while not true():
        need(time.monotonic() < end, "never: " + words)
        time.sleep(0.0005)


def state(store):
    """What a refused ingest must leave as it was."""
    return (store.list(), store.packs(), store.roots(),
            sorted(store.leftovers()))


def stop_half_way(store, source):
    """An ingest that is stopped while its first pack is being written, or
    None when it was too quick.  No transaction is open then."""
    child = start(store, store.resource, source)
    until(lambda: os.listdir(store.path + "/tmp") or
          child.poll() is not None, "a pack in tmp/")
    child.send_signal(signal.SIGSTOP)
    if child.poll() is None and os.listdir(store.path + "/tmp"):
        return child
    child.send_signal(signal.SIGCONT)
    finish(child)
    return None


def one_resource(dice):
    source, small = WORK + "/large", WORK + "/small"
    make_tree(small, dice)
    make_tree(source, dice)
    for i in range(60):
        with open("%s/part%d" % (source, i), "wb") as f:
            f.write(dice.randbytes(1 << 20))
    for attempt in range(20):
        store = Store("%s/one%d" % (WORK, attempt)).init()
        first = store.ingest_well(small)["snapshot"]
        child = stop_half_way(store, source)
        if child:
            break
    need(child, "an ingest could never be stopped")
    try:
        before = state(store)
        refused = store.ingest(small)
        need(refused.status == 1, "a second ingest: " + refused.words())
        need("another session of acme/web is at work" in refused.err,
             "what it says: " + refused.words())
        need(state(store) == before, "a refused ingest changed the store")
        store.check_restored(first, tree(small), "the earlier snapshot")
        beside = Store(store.path, "other/thing")
        beside.check_restored(beside.ingest_well(small)["snapshot"],
                              tree(small), "another resource beside it")
    finally:
        child.send_signal(signal.SIGCONT)
        done = finish(child)
    need(done.status == 0, "the stopped ingest: " + done.words())
    snapshot = json.loads(done.out)["snapshot"]
    need(store.list() == [first, snapshot], "both are listed")
    store.check_restored(snapshot, tree(source), "the stopped ingest")
    need(not store.leftovers(), "left over: %s" % store.leftovers())
    print("a second ingest of a resource is refused; others are not")


def four_resources(dice):
    store = Store(WORK + "/four").init(256 * 1024)
    names = ["acme/web", "acme/shop", "other/web", "third"]
    sources = {}
    kept = {}
    for name in names:
        sources[name] = "%s/of-%s" % (WORK, name.replace("/", "-"))
        make_tree(sources[name], dice)
        with open(sources[name] + "/same", "wb") as f:
            f.write(random.Random(7).randbytes(900 * 1024))
    for turn in range(ROUNDS):
        children = {n: start(store, n, sources[n]) for n in names}
        for name, child in children.items():
            done = finish(child)
            need(done.status == 0, "%s: %s" % (name, done.words()))
            kept[json.loads(done.out)["snapshot"]] = (name,
                                                      tree(sources[name]))
        for name in names:
            if turn == 0:
                change_tree(sources[name], dice)
            with open(sources[name] + "/same", "ab") as f:
                f.write(random.Random(turn).randbytes(300 * 1024))
    for snapshot, (name, wanted) in kept.items():
        Store(store.path, name).check_restored(snapshot, wanted, name)
    store.check_independently({s: kept[s][1] for s in kept})
    need(store.roots() == sorted(kept), "a root record for each")
    need(not store.leftovers(), "left over: %s" % store.leftovers())
    print("%d ingests of four resources, four at once, all whole" % len(kept))


def race_for_one(dice):
    source = WORK + "/raced"
    make_tree(source, dice)
    store = Store(WORK + "/race").init()
    wanted, won, lost = tree(source), set(), 0
    for _ in range(ROUNDS):
        for child in [start(store, store.resource, source)
                      for _ in range(5)]:
            done = finish(child)
            if done.status == 0:
                won.add(json.loads(done.out)["snapshot"])
                continue
            lost += 1
            need(done.status == 1 and "at work" in done.err, done.words())
    need(set(store.list()) == won and won, "who won is listed, nobody else")
    store.check_independently({s: wanted for s in won})
    need(not store.leftovers(), "left over: %s" % store.leftovers())
    print("%d ingests raced for one resource: %d done, %d refused" %
          (len(won) + lost, len(won), lost))


def mounted(dice):
    """A reader looks at the first day while others are written."""
    at, source = WORK + "/mnt", WORK + "/watched"
    if not os.path.exists(os.path.join(os.environ["BUILD"], "ieri-mount")) \
            or not os.path.exists("/dev/fuse") or os.getuid() != 0:
        print("skipped: a mount needs root, /dev/fuse and ieri-mount")
        return
    os.mkdir(at)
    make_tree(source, dice)
    wanted = tree(source)
    store = Store(WORK + "/watch").init()
    store.ingest_well(source)
    done = store.ieri("mount", at)
    need(done.status == 0, "mount: " + done.words())
    try:
        seen = at + "/acme/web/all"
        day = os.path.join(seen, os.listdir(seen)[0])
        change_tree(source, dice)
        for turn in range(ROUNDS):
            time.sleep(1.1)  # names tell seconds apart
            with open(source + "/turn", "wb") as f:
                f.write(dice.randbytes(200 * 1024))
            child = start(store, store.resource, source)
            while child.poll() is None:
                differs = difference(wanted, tree(day))
                need(not differs, "the first day: " + differs)
            done = finish(child)
            need(done.status == 0, "beside a mount: " + done.words())
            until(lambda: len(os.listdir(seen)) == turn + 2,
                  "the new snapshot in the mount")
        newest = max(os.listdir(seen))
        differs = difference(tree(source), tree(os.path.join(seen, newest)))
        need(not differs, "the newest day: " + differs)
    finally:
        subprocess.run(["umount", at], check=False)
    print("%d ingests beside a reader of a mount" % ROUNDS)


def main():
    dice = random.Random(int(os.environ.get("SEED") or 5))
    one_resource(dice)
    four_resources(dice)
    race_for_one(dice)
    mounted(dice)
    return 0


if __name__ == "__main__":
    script(main)
