# Process 1 of a box, until it becomes systemd.
# $1: its number outside of the box
cd /mnt/root
mount -t proc proc proc
# Most sysctls are the whole machine's.
mount --bind proc/sys proc/sys
mount -o remount,bind,ro proc/sys
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
# In a container systemd leaves this to others; elsewhere it mounts it like this.
mount -t bpf -o mode=700 bpf sys/fs/bpf
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=1777 tmpfs tmp
# The journal tells boots apart by this.
cat proc/sys/kernel/random/uuid >run/boot-id
mount --bind run/boot-id proc/sys/kernel/random/boot_id
# None of the machine's devices but these.
mount -t tmpfs -o mode=755 tmpfs dev
for device in "null 3" "zero 5" "full 7" "random 8" "urandom 9"; do
    mknod -m 666 "dev/${device% *}" c 1 "${device#* }"
done
mknod -m 666 dev/tty c 5 0
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,mode=620,ptmxmode=666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
# Nothing of the machine's files is left in sight.
pivot_root . mnt
cd /
umount -l mnt
echo "$1"
exec env -i container=test PATH=/usr/sbin:/usr/bin /sbin/init </dev/null >/dev/null 2>&1
