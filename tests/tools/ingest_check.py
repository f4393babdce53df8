#!/usr/bin/env python3
"""Compares a directory with the last snapshot in a store.

    ingest_check.py READ STORE DIRECTORY

READ is tests/golden/read.py, which knows the format and nothing of ieri.
Everything stat, readlink, listxattr and reading tell of the directory must be
in the snapshot, and nothing else; hard links must be the same groups.
"""
import hashlib
import json
import os
import stat
import subprocess
import sys


def groups(pairs):
    """Paths of one key, for keys with several."""
    by_key = {}
    for key, path in pairs:
        by_key.setdefault(key, []).append(path)
    return sorted(sorted(v) for v in by_key.values() if len(v) > 1)


def content_hash(path):
    digest = hashlib.sha256()
    with open(path, "rb") as f:
        while block := f.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


def look(path):
    st = os.lstat(path)
    out = {
        "mode": "%o" % st.st_mode, "uid": st.st_uid, "gid": st.st_gid,
        "mtime": "%d.%09d" % divmod(st.st_mtime_ns, 10 ** 9),
    }
    xattrs = {n: os.getxattr(path, n, follow_symlinks=False).hex()
              for n in os.listxattr(path, follow_symlinks=False)}
    if xattrs:
        out["xattrs"] = xattrs
    if stat.S_ISLNK(st.st_mode):
        out["target"] = os.fsdecode(os.readlink(path))
    if stat.S_ISREG(st.st_mode):
        out["size"] = st.st_size
        out["sha256"] = content_hash(path)
    if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
        out["device"] = [os.major(st.st_rdev), os.minor(st.st_rdev)]
    return out, st


def expected(top):
    things, links = {}, []
    stack = [b""]
    while stack:
        rel = stack.pop()
        path = os.path.join(top, rel) if rel else top
        thing, st = look(path)
        things[rel.decode("utf-8", "surrogateescape")] = thing
        if stat.S_ISDIR(st.st_mode):
            stack.extend(os.path.join(rel, n) for n in os.listdir(path))
        elif st.st_nlink > 1:
            links.append(((st.st_dev, st.st_ino),
                          rel.decode("utf-8", "surrogateescape")))
    return things, groups(links)


def recorded(read, store):
    lines = subprocess.run(["/usr/bin/env", "python3", read, store], check=True,
                           stdout=subprocess.PIPE).stdout.splitlines()
    things, links, numbers = {}, [], {}
    for line in lines:
        one = json.loads(line)
        if "resource" in one:
            things, links, numbers = {}, [], {}
            continue
        path = one.pop("path")
        if "first" in one:
            links.append((one["first"], path))
            least = min(numbers.get(one["first"], one["number"]), one["number"])
            numbers[one["first"]] = least
        for key in ("serial", "number", "first", "names"):
            one.pop(key, None)
        if "device" in one:
            one["device"] = list(one["device"])
        things[path] = one
    for first, least in numbers.items():
        if first != least:
            sys.exit("links: first is %d, the least number %d" % (first, least))
    return things, groups(links)


def main():
    want, want_links = expected(os.fsencode(sys.argv[3]))
    have, have_links = recorded(sys.argv[1], sys.argv[2])
    bad = 0
    for path in sorted(set(want) | set(have)):
        if want.get(path) != have.get(path):
            print("differs: %r\n  want %r\n  have %r" %
                  (path, want.get(path), have.get(path)))
            bad += 1
    if want_links != have_links:
        print("links: want %r\n  have %r" % (want_links, have_links))
        bad += 1
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
