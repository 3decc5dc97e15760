#!/bin/busybox sh
# The first process in the machine that `cargo xtask test --kernel` boots. It
# runs the test programs and switches the machine off. What goes to the second
# serial port is for the host; lines that begin with "@" are for its eyes only.

# Where there is a program of the host's, that comes first.
/bin/busybox --install -s /bin
export PATH=/usr/sbin:/bin
mount -t devtmpfs dev /dev
exec </dev/null >/dev/ttyS1 2>&1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t bpf bpf /sys/fs/bpf
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run

# Should the host be gone, the machine ends all the same.
(sleep 5400; poweroff -f) &

echo "@kernel $(uname -r)"
# The kernel asks for modules by itself, as on a real machine: here only for a
# failure that has a name.
mkdir -p /sbin
ln -s /bin/busybox /sbin/modprobe
for module in veth bridge nf_tables; do
    modprobe "$module" || echo "@failed modprobe $module"
done
ip link set lo up

/tests/xtask verify /tests/poolguard-xdp || echo "@failed verify"

set --
while read -r argument; do
    set -- "$@" "$argument"
done </tests/arguments
for program in /tests/deps/*; do
    echo "@running ${program##*/}"
    "$program" "$@"
    echo "@ended ${program##*/} $?"
done

left=$(ls /sys/fs/bpf)
[ -z "$left" ] || echo "@failed leaving nothing in bpffs: $left"
echo "@finished"
poweroff -f
