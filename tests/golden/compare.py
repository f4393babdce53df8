#!/usr/bin/python3
"""compare.py MANIFEST SERIAL DIR: whether DIR is what the manifest says."""
import hashlib
import json
import os
import stat
import sys


def look(path):
    st = os.lstat(path)
    out = {"mode": "%o" % st.st_mode, "uid": st.st_uid, "gid": st.st_gid,
           "mtime": "%d.%09d" % divmod(st.st_mtime_ns, 10**9)}
    if stat.S_ISREG(st.st_mode):
        with open(path, "rb") as f:
            out["sha256"] = hashlib.sha256(f.read()).hexdigest()
        out["size"] = st.st_size
    elif stat.S_ISLNK(st.st_mode):
        out["target"] = os.readlink(path)
    elif stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode):
        out["device"] = [os.major(st.st_rdev), os.minor(st.st_rdev)]
    xattrs = {n: os.getxattr(path, n, follow_symlinks=False).hex()
              for n in os.listxattr(path, follow_symlinks=False)}
    if xattrs:
        out["xattrs"] = xattrs
    return out, st


def main():
    manifest, serial, top = sys.argv[1], int(sys.argv[2]), sys.argv[3]
    want = {}
    with open(manifest, encoding="ascii") as f:
        for line in f:
            entry = json.loads(line)
            if entry["serial"] == serial and "path" in entry:
                want[entry.pop("path")] = entry
    have = {""}
    for folder, dirs, files in os.walk(top):
        rel = os.path.relpath(folder, top)
        for name in dirs + files:
            have.add(name if rel == "." else os.path.join(rel, name))
    wrong = 0
    for path in sorted(set(want) ^ have):
        print("only in one of both: %r" % path)
        wrong += 1
    first = {}
    for path in sorted(set(want) & have):
        got, st = look(os.path.join(top, path) if path else top)
        expect = dict(want[path])
        number = expect.pop("first", None)
        names = expect.pop("names", None)
        for key in ("number", "serial"):
            expect.pop(key)
        if names and (st.st_nlink != names or
                      first.setdefault(number, st.st_ino) != st.st_ino):
            print("%r is not the hard link it was" % path)
            wrong += 1
        if got != expect:
            print("%r: %r, was %r" % (path, got, expect))
            wrong += 1
    print("serial %d: %d entries, %d wrong" % (serial, len(want), wrong))
    return 1 if wrong or not want else 0


if __name__ == "__main__":
    sys.exit(main())
