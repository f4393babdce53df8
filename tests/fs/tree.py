"""Makes a tree with one of every kind of thing a backup meets.

    python3 tree.py FOLDER
"""
import os
import random
import socket
import subprocess
import sys


def put(name, data):
    with open(name, "wb") as out:
        out.write(data)


def sparse(name, size, islands):
    with open(name, "wb") as out:
        for offset, data in islands:
            out.seek(offset)
            out.write(data)
        out.truncate(size)


os.chdir(sys.argv[1])
bits = random.Random(7)

put("empty", b"")
put("one", b"1")
put("small", b"hello\n" * 100)
put("middle", bits.randbytes(300_000))
put("large", bits.randbytes(9_000_000) + b"z" * 3_000_000 +
    bits.randbytes(5_000_001))
sparse("hole-first", 3 << 20, [((2 << 20), b"x" * 8192)])
sparse("hole-last", 3 << 20, [(0, b"x" * 8192)])
sparse("hole-many", 8 << 20,
       [(i << 16, bits.randbytes(4096)) for i in range(0, 128, 2)])
sparse("hole-only", 5 << 20, [])

os.mkdir("dir-empty")
os.mkdir("dir-many")
for i in range(3000):
    put("dir-many/entry-%05d" % i, b"%d" % i)
os.makedirs("deep/" + "/".join("level%d" % i for i in range(30)))

os.symlink("small", "link")
os.symlink("nowhere/" + "x" * 3000, "link-dangling")
os.symlink("/etc/passwd", "link-absolute")
os.mkfifo("fifo", 0o640)
os.mknod("char", 0o600 | 0o020000, os.makedev(1, 3))
os.mknod("block", 0o660 | 0o060000, os.makedev(300, 70000))
sock = socket.socket(socket.AF_UNIX)
sock.bind("socket")

put("hard-a", b"linked\n" * 1000)
os.link("hard-a", "hard-b")
os.mkdir("hard-dir")
os.link("hard-a", "hard-dir/c")

for name in [b"-dash", b"new\nline", b"blank  blank", b"bad\xff\xfeutf8",
             b"back\\slash", b"\xe2\x82\xac", b"n" * 255, b"*?[", b"...",
             b"\x01\x7f"]:
    put(b"name-" + name if len(name) < 250 else name, name)

for mode in [0o000, 0o400, 0o4755, 0o2755, 0o777, 0o1777]:
    put("mode-%04o" % mode, b"m")
    os.chown("mode-%04o" % mode, 1234, 4294967000)
    os.chmod("mode-%04o" % mode, mode)
os.mkdir("dir-sticky")
os.chmod("dir-sticky", 0o3777)

put("xattr", b"x")
os.setxattr("xattr", b"user.one", b"1")
os.setxattr("xattr", b"user.empty", b"")
os.setxattr("xattr", b"user.binary", bytes(range(256)))
os.setxattr("xattr", b"trusted.kept", b"t" * 2000)
os.setxattr("dir-empty", b"user.dir", b"d")
put("capable", b"c")
subprocess.run(["setcap", "cap_net_raw+ep", "capable"], check=True)
put("acl", b"a")
subprocess.run(["setfacl", "-m", "u:1001:rw,g:1002:r,m::rw", "acl"],
               check=True)
subprocess.run(["setfacl", "-m", "u:1001:rwx,d:u:1003:rx", "dir-many"],
               check=True)

put("time-old", b"")
os.utime("time-old", ns=(-(10 ** 18) + 1, -(10 ** 18) + 123_456_789))
put("time-far", b"")
os.utime("time-far", ns=(4 * 10 ** 18 + 7, 4 * 10 ** 18 + 7))
os.utime("link", ns=(5, 1_600_000_000_987_654_321), follow_symlinks=False)
