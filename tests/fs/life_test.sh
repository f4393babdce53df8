#!/bin/bash
# How a mount begins, lives beside the store's writers, and ends.
# shellcheck source=tests/fs/support.sh
. "$SOURCE/tests/fs/support.sh"

echo first >"$TREE/file"
"$IERI" init -q "$STORE" || fail "init failed"
ingest

it "wrong words are refused by name, with status 2"
says 2 "unknown option bogus" "$MOUNT" -o ro,bogus "$STORE" "$MNT"
says 2 "unknown option --bogus" "$MOUNT" --bogus "$STORE" "$MNT"
says 2 "uid=x" "$MOUNT" -o uid=x "$STORE" "$MNT"
says 2 "cache=12Q" "$MOUNT" -o cache=12Q "$STORE" "$MNT"
says 2 "a store and a mount point" "$MOUNT" "$STORE"
says 2 "a store and a mount point" "$MOUNT" "$STORE" "$MNT" more

it "what cannot be mounted is said in one line, with status 1"
says 1 "$WORK/no: mount point: No such file" "$MOUNT" "$STORE" "$WORK/no"
says 1 "not a directory" "$MOUNT" "$STORE" "$TREE/file"
says 1 "$WORK/none: No such file" "$MOUNT" "$WORK/none" "$MNT"
says 1 "$MNT: " "$MOUNT" "$TREE" "$MNT"
says 1 "lies in the store" "$MOUNT" "$STORE" "$STORE/tmp"
says 1 "would hide the store" "$MOUNT" "$STORE" "$WORK"
says 1 "acme/no" "$MOUNT" -o only=acme/no "$STORE" "$MNT"
touch "$MNT/in-the-way"
says 1 "not empty" "$MOUNT" "$STORE" "$MNT"
until_true no_mounter

it "nonempty mounts over what is there"
mount_store -o nonempty
[ -d "$MNT/acme" ] || fail
umount_store
rm "$MNT/in-the-way"

it "words of fstab are understood"
mount_store -o 'rw,noauto,user,nofail,_netdev,defaults,dev,suid,x-systemd.automount'
grep -q " $MNT fuse.ieri ro,nosuid,nodev," /proc/mounts ||
    fail "$(grep "$MNT" /proc/mounts)"
same "$(readlink -f "$STORE")" \
    "$(awk -v m="$MNT" '$2 == m { print $1 }' /proc/mounts)"

it "a second mount at the same place is refused"
says 1 "already mounted" "$MOUNT" "$STORE" "$MNT"

it "one store can be mounted twice at once"
mkdir "$WORK/other"
"$MOUNT" "$STORE" "$WORK/other" || fail
same first "$(cat "$WORK/other/acme/web/latest/file")"
same first "$(cat "$MNT/acme/web/latest/file")"
umount "$WORK/other"

it "a new snapshot is there as soon as its ingest is done"
date=$(today)
same 1 "$(ls "$MNT/acme/web/all" | wc -l)"
[ ! -e "$MNT/acme/shop" ] || fail "shop is there too early"
same "web" "$(ls "$MNT/acme")"
old=$(stat -c %i "$DAY/$date")
for n in 2 3 4; do
	echo "content $n" >"$TREE/file"
	sleep 1.1 # the names in all/ are of whole seconds
	ingest
	same "$n" "$(ls "$MNT/acme/web/all" | wc -l)"
	same "content $n" "$(cat "$DAY/$date/file")"
	same "content $n" "$(cat "$MNT/acme/web/latest/file")"
done
[ "$old" != "$(stat -c %i "$DAY/$date")" ] || fail "the number is the same"
same first "$(cat "$MNT/acme/web/all/$(ls "$MNT/acme/web/all" | head -1)/file")"

it "a new resource is there as soon as its ingest is done"
"$IERI" ingest -s "$STORE" -q acme/shop "$TREE" || fail ingest
same "content 4" "$(cat "$MNT/acme/shop/latest/file")"
same "shop web" "$(echo $(ls "$MNT/acme"))"

it "SIGTERM unmounts, and leaves no process"
kill -TERM "$(mounters)"
until_true not_mounted
until_true no_mounter

it "SIGTERM with somebody inside serves him until he leaves"
head -c 3000000 /dev/urandom >"$TREE/file"
ingest
for signal in TERM INT HUP; do
	mount_store
	exec 9<"$MNT/acme/web/latest/file"
	kill -s "$signal" "$(mounters)"
	until_true not_mounted
	same "$(sha256sum <"$TREE/file")" "$(sha256sum <&9)"
	exec 9<&-
	until_true no_mounter
done

it "a second signal ends at once"
mount_store
exec 9<"$MNT/acme/web/latest/file"
kill "$(mounters)"
until_true not_mounted
kill "$(mounters)"
until_true no_mounter
exec 9<&-

it "after a crash, starting again is enough"
for n in 1 2; do
	mount_store
	ls -lR "$MNT" >/dev/null
	kill -9 "$(mounters)"
	until_true no_mounter
done
mount_store
same "$(sha256sum <"$TREE/file")" \
    "$(sha256sum <"$MNT/acme/web/latest/file")"
same 1 "$(grep -c " $MNT fuse.ieri " /proc/mounts)"
umount_store

it "mount(8) calls it as a helper"
ln -s "$(readlink -f "$MOUNT")" "$WORK/mount.fuse.ieri"
"$WORK/mount.fuse.ieri" "$STORE" "$MNT" -f -v -o rw,dev,suid || fail rehearsal
not_mounted || fail "a rehearsal mounted"
"$WORK/mount.fuse.ieri" "$STORE" "$MNT" -n -s -t fuse.ieri -o rw,dev,suid ||
    fail
mountpoint -q "$MNT" || fail "nothing mounted"
umount "$MNT"

it "in the foreground it tells the service manager when it is ready"
python3 - "$WORK/notify" "$MOUNT" "$STORE" "$MNT" <<'P' || fail
import os, signal, socket, subprocess, sys
path, program, store, mnt = sys.argv[1:]
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(path)
listener.settimeout(10)
child = subprocess.Popen([program, "-f", store, mnt],
                         env=dict(os.environ, NOTIFY_SOCKET=path))
if listener.recv(100) != b"READY=1" or not os.path.ismount(mnt):
    sys.exit("not ready")
child.send_signal(signal.SIGTERM)
if listener.recv(100) != b"STOPPING=1" or child.wait(10) != 0:
    sys.exit("did not stop in order")
P
until_true not_mounted
