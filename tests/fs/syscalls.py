"""Questions to a mount that no ordinary tool asks.

    readonly FOLDER       every writing system call there is EROFS
    seek FILE ORIGINAL    SEEK_DATA and SEEK_HOLE see the same data
    handle FILE           prints a handle of FILE
    open MOUNT HANDLE     prints what the handle leads to
"""
import ctypes
import errno
import os
import sys

AT_FDCWD = -100
HANDLE_MAX = 128
libc = ctypes.CDLL(None, use_errno=True)


class Handle(ctypes.Structure):
    _fields_ = [("len", ctypes.c_uint), ("type", ctypes.c_int),
                ("bytes", ctypes.c_ubyte * HANDLE_MAX)]


def readonly(folder):
    file = folder + "/small"
    new = folder + "/new"
    directory = folder + "/dir-empty"
    link = folder + "/link"
    calls = {
        "open to write": lambda: os.open(file, os.O_WRONLY),
        "open to read and write": lambda: os.open(file, os.O_RDWR),
        "open to append": lambda: os.open(file, os.O_WRONLY | os.O_APPEND),
        "open and truncate": lambda: os.open(file, os.O_RDONLY | os.O_TRUNC),
        "create": lambda: os.open(new, os.O_CREAT | os.O_WRONLY),
        "temporary file": lambda: os.open(folder, os.O_TMPFILE | os.O_RDWR),
        "truncate": lambda: os.truncate(file, 0),
        "mkdir": lambda: os.mkdir(new),
        "mknod": lambda: os.mknod(new),
        "mkfifo": lambda: os.mkfifo(new),
        "unlink": lambda: os.unlink(file),
        "rmdir": lambda: os.rmdir(directory),
        "rename": lambda: os.rename(file, new),
        "link": lambda: os.link(file, new),
        "symlink": lambda: os.symlink("x", new),
        "chmod": lambda: os.chmod(file, 0o600),
        "chown": lambda: os.chown(file, 1, 1),
        "lchown": lambda: os.lchown(link, 1, 1),
        "utime": lambda: os.utime(file),
        "setxattr": lambda: os.setxattr(file, b"user.x", b"x"),
        "removexattr": lambda: os.removexattr(folder + "/xattr", b"user.one"),
    }
    for name, call in calls.items():
        try:
            call()
        except OSError as e:
            if e.errno != errno.EROFS:
                sys.exit("%s: %s" % (name, e))
        else:
            sys.exit(name + " succeeded")


def pieces(name):
    """The parts of a file that are data, as its file system tells them."""
    found = []
    fd = os.open(name, os.O_RDONLY)
    size = os.fstat(fd).st_size
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as e:
            if e.errno != errno.ENXIO:
                raise
            break
        at = os.lseek(fd, start, os.SEEK_HOLE)
        found.append((start, at))
    try:
        os.lseek(fd, size, os.SEEK_DATA)
        sys.exit("data past the end")
    except OSError as e:
        if e.errno != errno.ENXIO:
            raise
    return found


def seek(name, original):
    if pieces(name) != pieces(original):
        sys.exit("%s has %r, %s %r" % (name, pieces(name), original,
                                       pieces(original)))


def check(rc, what):
    if rc < 0:
        sys.exit("%s: %s" % (what, os.strerror(ctypes.get_errno())))
    return rc


def handle(name):
    h = Handle(len=HANDLE_MAX)
    mount = ctypes.c_int()
    check(libc.name_to_handle_at(AT_FDCWD, name.encode(), ctypes.byref(h),
                                 ctypes.byref(mount), 0),
          "name_to_handle_at")
    print("%d:%s" % (h.type, bytes(h.bytes[:h.len]).hex()))


def open_handle(mount, text):
    kind, data = text.split(":")
    data = bytes.fromhex(data)
    h = Handle(len=len(data), type=int(kind))
    h.bytes[:len(data)] = data
    at = os.open(mount, os.O_RDONLY)
    fd = check(libc.open_by_handle_at(at, ctypes.byref(h), os.O_RDONLY),
               "open_by_handle_at")
    sys.stdout.buffer.write(os.read(fd, 1 << 20))


{"readonly": readonly, "seek": seek, "handle": handle,
 "open": open_handle}[sys.argv[1]](*sys.argv[2:])
