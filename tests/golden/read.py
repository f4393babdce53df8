#!/usr/bin/python3
"""Reads a store by index/FORMAT.md alone and prints what is in it.

    tests/golden/read.py STORE          one JSON object a line, by serial, path
    tests/golden/read.py STORE --ids    and each file's chunk ids

It shares no code with ieri and opens neither the database nor the id table:
packs and root records are enough.  Every sum, every id and every reserved byte
is checked on the way; anything wrong ends it with a sentence and status 1.
"""
import hashlib
import json
import os
import stat
import struct
import sys

import xxhash
import zstandard
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDF


class Wrong(Exception):
    pass


def need(true, words):
    if not true:
        raise Wrong(words)


def u(data, offset, size):
    return int.from_bytes(data[offset:offset + size], "little")


def s(data, offset, size):
    return int.from_bytes(data[offset:offset + size], "little", signed=True)


def total(data):
    return xxhash.xxh3_64_intdigest(bytes(data))


def zero(data, offset, size, words):
    need(not any(data[offset:offset + size]), words + ": reserved bytes")


# ---- Section 2 and 3: config and ids ----

class Config:
    def __init__(self, path):
        with open(os.path.join(path, "config"), "rb") as f:
            d = f.read()
        need(len(d) == 512, "config: 512 bytes")
        need(d[:8] == b"IERICONF", "config: magic")
        need(u(d, 504, 8) == total(d[:504]), "config: sum")
        need(u(d, 8, 4) == 1 and u(d, 12, 4) == 0, "config: version")
        need(d[40] == 1 and d[41] == 1 and d[42] == 0, "config: algorithms")
        for offset, size in ((100, 28), (160, 96), (320, 184)):
            zero(d, offset, size, "config")
        self.uuid = d[16:32]
        self.page_min, self.page_max = u(d, 72, 4), u(d, 76, 4)
        self.page_bits = u(d, 80, 4)
        self.list_min, self.list_max = u(d, 84, 4), u(d, 88, 4)
        self.list_bits = u(d, 92, 4)
        self.block_max = u(d, 56, 4)
        secret = d[128:160]
        keys = self.hkdf(secret, b"ieri ids" + struct.pack("<I", 0), 32)
        self.k1, self.k2 = AESGCM(keys[:16]), keys[16:]
        self.cut_key = u(self.hkdf(secret, b"ieri cuts", 8), 0, 8)

    def hkdf(self, secret, info, length):
        return HKDF(hashes.SHA256(), length, self.uuid, info).derive(secret)

    def name(self, kind, chunk):
        nonce = bytes(11) + bytes([kind])
        tag = self.k1.encrypt(nonce, b"", bytes(chunk))
        e = Cipher(algorithms.AES(self.k2), modes.ECB()).encryptor()
        return e.update(tag) + e.finalize()


# ---- Section 5: packs ----

class Pack:
    def __init__(self, config, path, name):
        with open(path, "rb") as f:
            d = self.data = f.read()
        self.config = config
        need(d[:8] == b"IERIPACK" and u(d, 8, 4) == 1, name + ": header")
        need(u(d, 12, 4) == 0, name + ": flags")
        need(u(d, 88, 8) == total(d[:88]), name + ": header sum")
        need(d[16:32] == config.uuid, name + ": store")
        need(d[32:48].hex() == name, name + ": pack id")
        for offset, size in ((53, 3), (56, 8), (80, 8)):
            zero(d, offset, size, name)
        self.no, self.kind = u(d, 48, 4), d[52]
        f = d[-96:]
        need(f[:8] == b"IERIPEND", name + ": footer")
        need(u(f, 88, 8) == total(f[:88]), name + ": footer sum")
        need(u(f, 16, 8) == len(d), name + ": length")
        need(u(f, 36, 4) == self.no and f[80] == self.kind, name + ": footer")
        need(f[40:56] == config.uuid and f[56:72] == d[32:48], name)
        zero(f, 81, 7, name)
        start = u(f, 8, 8)
        blocks, chunks, bases = u(f, 24, 4), u(f, 28, 4), u(f, 32, 4)
        t = d[start:-96]
        need(len(t) == 40 * blocks + 20 * chunks + 24 * bases, name + ": table")
        need(u(f, 72, 8) == total(t), name + ": table sum")
        self.where, at = {}, 40 * blocks
        base_at, offset = 40 * blocks + 20 * chunks, 96
        self.bases, self.entries = [], []
        for b in range(blocks):
            e = t[40 * b:40 * b + 40]
            zero(e, 35, 5, name + ": block")
            need(u(e, 0, 8) == offset, name + ": blocks leave no gap")
            n, m, start_raw = u(e, 24, 4), u(e, 28, 4), 0
            for i in range(n):
                word = u(t, at + 16, 4)
                self.where[t[at:at + 16]] = (b, start_raw, word & 0xffffff,
                                             word >> 24)
                start_raw += word & 0xffffff
                at += 20
            need(start_raw == u(e, 20, 4), name + ": raw length")
            self.bases.append([t[base_at + 24 * i:base_at + 24 * i + 20]
                               for i in range(m)])
            base_at += 24 * m
            self.entries.append(e)
            self.check_record(name, e, offset, n, m)
            offset += 48 + 4 * n + 24 * m + u(e, 16, 4)
        need(offset == start, name + ": the table follows the last block")
        self.raw = {}

    def check_record(self, name, e, offset, n, m):
        d = self.data
        h = d[offset:offset + 48]
        need(h[:4] == b"IBLK" and h[7] == 0 and h[5] == 0, name + ": record")
        need(h[4] == e[32] and h[6] == e[34], name + ": codec, depth")
        need((u(h, 8, 4), u(h, 12, 4)) == (u(e, 20, 4), u(e, 16, 4)), name)
        need((u(h, 16, 4), u(h, 20, 4)) == (n, m), name + ": counts")
        need(u(h, 24, 8) == offset and u(h, 32, 8) == u(e, 8, 8), name)
        rest = d[offset + 48:offset + 48 + 4 * n + 24 * m]
        need(u(h, 40, 8) == total(h[:40] + rest), name + ": head sum")

    def block(self, store, b):
        if b not in self.raw:
            e = self.entries[b]
            at = (u(e, 0, 8) + 48 + 4 * u(e, 24, 4) + 24 * u(e, 28, 4))
            stored = self.data[at:at + u(e, 16, 4)]
            need(total(stored) == u(e, 8, 8), "block sum")
            codec, size = e[32], u(e, 20, 4)
            if codec == 0:
                raw = stored
            elif codec == 1:
                raw = zstandard.ZstdDecompressor().decompress(stored)
            else:
                need(codec == 2, "codec")
                prefix = b"".join(store.chunk(x[19], x[:16])
                                  for x in self.bases[b])
                d = zstandard.ZstdCompressionDict(
                    prefix, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
                raw = zstandard.ZstdDecompressor(
                    dict_data=d, max_window_size=1 << 27).decompress(stored)
            need(len(raw) == size, "block length")
            self.raw[b] = raw
        return self.raw[b]


# ---- Sections 6 and 7: directories and ropes ----

class Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        need(self.at + n <= len(self.data), "bytes end early")
        self.at += n
        return self.data[self.at - n:self.at]

    def u(self, n):
        return int.from_bytes(self.take(n), "little")

    def varint(self):
        value = shift = 0
        while True:
            c = self.take(1)[0]
            value |= (c & 0x7f) << shift
            shift += 7
            if not c & 0x80:
                need(c or shift == 7, "varint in shortest form")
                return value

    def signed(self):
        v = self.varint()
        return v >> 1 if not v & 1 else -(v >> 1) - 1


class Entry:
    def __init__(self, b):
        self.name = b.take(b.u(1))
        self.flags, self.mode = b.u(2), b.u(2)
        need(self.flags & ~0x1ff == 0, "flags")
        self.uid, self.gid = b.varint(), b.varint()
        self.mtime, self.mtime_ns = b.signed(), b.varint()
        self.ctime, self.ctime_ns = self.mtime + b.signed(), b.varint()
        self.ino = b.varint()
        self.dev = b.varint() if self.flags & 0x10 else 0
        self.size = self.beneath = 0
        self.target = self.device = None
        if stat.S_ISREG(self.mode):
            self.size = b.varint()
            if self.flags & 0x08:
                self.held = b.varint()
        elif stat.S_ISDIR(self.mode):
            self.beneath, self.subdirs = b.varint(), b.varint()
        elif stat.S_ISLNK(self.mode):
            self.target = b.take(b.varint())
        elif stat.S_ISCHR(self.mode) or stat.S_ISBLK(self.mode):
            self.device = [b.varint(), b.varint()]
        self.content = b.take(16) if self.flags & 3 else None
        self.xattr = (b.varint(), b.take(16)) if self.flags & 0x60 else None


class Store:
    def __init__(self, path):
        self.path, self.config = path, Config(path)
        self.packs, self.where = [], {}
        top = os.path.join(path, "packs")
        need(len(os.listdir(top)) == 256, "256 folders of packs")
        for folder in sorted(os.listdir(top)):
            for name in sorted(os.listdir(os.path.join(top, folder))):
                need(name.endswith(".pack") and name[:2] == folder, name)
                p = Pack(self.config, os.path.join(top, folder, name), name[:-5])
                self.packs.append(p)
                for key in p.where:
                    self.where.setdefault(key, p)

    def chunk(self, kind, key):
        need(key in self.where, "chunk %s is in no pack" % key.hex())
        p = self.where[key]
        b, start, length, k = p.where[key]
        need(k == kind and p.kind == (kind != 0), "kind of " + key.hex())
        data = p.block(self, b)[start:start + length]
        need(self.config.name(kind, data) == key, "id of " + key.hex())
        return data

    def pages(self, key, level=None):
        """Yields the entries of a directory, with the checks of section 6."""
        b = Bytes(self.chunk(1, key))
        need(b.take(2) == b"D\x01", "page")
        here, reserved, n = b.u(1), b.u(1), b.u(4)
        need(level is None or here == level, "level")
        need(reserved == 0 and n >= 1, "page header")
        if here == 0:
            for _ in range(n):
                yield Entry(b)
        for _ in range(n if here else 0):
            last, child = b.take(b.u(1)), b.take(16)
            count, span = b.varint(), b.varint()
            got = list(self.pages(child, here - 1))
            need(got[-1].name == last, "greatest name")
            need(len(got) == count, "entries in the child")
            need(sum(1 + e.beneath for e in got) == span, "span")
            yield from got
        need(b.at == len(b.data), "page ends with its entries")

    def pieces(self, key, level=None):
        b = Bytes(self.chunk(2, key))
        need(b.take(2) == b"R\x01", "node")
        here, reserved, n, before = b.u(1), b.u(1), b.u(4), 0
        need(level is None or here == level, "level")
        need(reserved == 0 and n >= 1, "node header")
        for _ in range(n):
            end, child = b.u(8), b.take(16)
            need(end > before, "ends rise")
            if here == 0:
                yield end - before, child
            else:
                got = list(self.pieces(child, here - 1))
                need(sum(x for x, _ in got) == end - before, "length")
                yield from got
            before = end
        need(b.at == len(b.data), "node ends with its entries")

    def content(self, kind, how, size, key):
        """The bytes, and the ids of the chunks (None for a hole)."""
        if how == 0:
            need(size == 0, "no content, no size")
            return b"", []
        if how == 1:
            data = self.chunk(kind, key)
            need(len(data) == size, "size of a chunk")
            return data, [key]
        out, ids = [], []
        for length, child in self.pieces(key):
            if any(child):
                data = self.chunk(kind, child)
                need(len(data) == length, "length of a piece")
                ids.append(child)
            else:
                data = bytes(length)
                ids.append(None)
            out.append(data)
        data = b"".join(out)
        need(len(data) == size, "size of a rope")
        return data, ids

    def reference(self, d):
        zero(d, 1, 7, "content reference")
        return self.content(3, d[0], u(d, 8, 8), d[16:32])[0]

    def xattrs(self, e):
        if not e.xattr:
            return {}
        size, key = e.xattr
        data, _ = self.content(3, 1 if e.flags & 0x20 else 2, size, key)
        b, out = Bytes(data), {}
        for _ in range(b.u(4)):
            name = b.take(b.u(2))
            out[text(name)] = b.take(b.u(4)).hex()
        need(b.at == len(data), "xattr set ends")
        need(list(out) == sorted(out), "xattrs sorted")
        return out


def text(b):
    return b.decode("utf-8", "surrogateescape")


# ---- Section 8: root records ----

class Root:
    def __init__(self, store, path, name):
        with open(path, "rb") as f:
            d = self.data = f.read()
        need(d[:8] == b"IERIROOT" and u(d, 8, 4) == 1, name + ": header")
        need(u(d, 12, 4) == 0 and u(d, 100, 4) == 1, name + ": flags, type")
        need(u(d, len(d) - 8, 8) == total(d[:-8]), name + ": sum")
        need(u(d, 248, 8) == len(d), name + ": length")
        need(d[16:32] == store.config.uuid and d[32:48].hex() == name, name)
        zero(d, 124, 4, name)
        zero(d, 176, 72, name)
        self.serial, self.resource = u(d, 48, 8), u(d, 96, 4)
        self.prev, self.time_ns = d[64:96], s(d, 104, 8)
        self.offset = s(d, 120, 4)
        self.counts = [u(d, x, 8) for x in (128, 136, 144, 152)]
        self.part, b, last = {}, Bytes(d[256:-8]), 0
        while b.at < len(b.data):
            tag, flags = b.u(2), b.u(2)
            need(tag > last and flags <= 1, name + ": sections in order")
            last = tag
            self.part[tag] = b.take(b.u(4))
        need({1, 2, 5} <= set(self.part), name + ": sections 1, 2 and 5")
        packs = self.part[5]
        need(len(packs) % 20 == 0, name + ": packs")
        have = {(p.no, p.data[32:48]) for p in store.packs}
        for i in range(0, len(packs), 20):
            need((u(packs, i, 4), packs[i + 4:i + 20]) in have, name + ": pack")


def walk(store, root, ids):
    b = Bytes(root.part[2])
    top = Entry(b)
    need(b.at == len(b.data) and top.name == b"", "root entry")
    links = {}
    raw = store.reference(root.part[3]) if 3 in root.part else b""
    for i in range(0, len(raw), 24):
        links[u(raw, i, 4), u(raw, i + 8, 8)] = (u(raw, i + 4, 4),
                                                u(raw, i + 16, 8))
    counts = [0, 0, 0, 0]

    def one(e, path, number):
        out = {"serial": root.serial, "path": text(path), "number": number,
               "mode": "%o" % e.mode, "uid": e.uid, "gid": e.gid,
               "mtime": "%d.%09d" % (e.mtime, e.mtime_ns)}
        xattrs = store.xattrs(e)
        if xattrs:
            out["xattrs"] = xattrs
        if e.target is not None:
            out["target"] = text(e.target)
        if e.device:
            out["device"] = e.device
        if e.flags & 4 and (e.dev, e.ino) in links:
            out["names"], out["first"] = links[e.dev, e.ino]
        if stat.S_ISREG(e.mode):
            counts[0] += 1
            counts[3] += e.size
            if e.flags & 0x100:
                need(not e.flags & 3, "content that could not be read")
                data, chunks = b"", []
            else:
                data, chunks = store.content(0, e.flags & 3, e.size, e.content)
            out["size"], out["sha256"] = e.size, hashlib.sha256(data).hexdigest()
            if ids:
                out["ids"] = [c.hex() if c else None for c in chunks]
        elif stat.S_ISDIR(e.mode):
            counts[1] += 1
        else:
            counts[2] += 1
        print(json.dumps(out, sort_keys=True))
        return 0

    stack = [(top, b"", 0)]
    while stack:
        e, path, number = stack.pop()
        one(e, path, number)
        if not stat.S_ISDIR(e.mode) or not e.content:
            need(e.beneath == 0, "nothing beneath")
            continue
        children, at, before = [], number + 1, b""
        for c in store.pages(e.content):
            need(c.name > before and b"/" not in c.name, "names rise")
            before = c.name
            children.append((c, (path + b"/" if path else b"") + c.name, at))
            at += 1 + c.beneath
        need(at - number - 1 == e.beneath, "entries beneath")
        need(sum(stat.S_ISDIR(c[0].mode) for c in children) == e.subdirs,
             "directories in it")
        stack.extend(reversed(children))
    need(counts == root.counts, "counts of the root record")


def main():
    sys.setrecursionlimit(10000)
    store = Store(sys.argv[1])
    roots = []
    for name in os.listdir(os.path.join(sys.argv[1], "roots")):
        roots.append(Root(store, os.path.join(sys.argv[1], "roots", name), name))
    roots.sort(key=lambda r: r.serial)
    last = {}
    for r in roots:
        need(r.prev == last.get(r.resource, bytes(32)), "digest of the one before")
        last[r.resource] = hashlib.sha256(r.data).digest()
        print(json.dumps({"serial": r.serial, "resource": text(r.part[1]),
                          "time_ns": r.time_ns, "offset": r.offset}))
        walk(store, r, "--ids" in sys.argv[2:])


if __name__ == "__main__":
    try:
        main()
    except Wrong as why:
        sys.exit("read.py: %s" % why)
