#!/bin/busybox sh
# The first process in the machine that `cargo xtask test --kernel` boots. It
# runs the test programs and switches the machine off. What goes to the second
# serial port is for the host; lines that begin with "@" are for its eyes only.

# Where there is a program of the host's, that comes first.
/bin/busybox --install -s /bin
export PATH=/usr/sbin:/bin
mount -t devtmpfs dev /dev
# For programs that speak to others through a terminal: pppd.
mkdir -p /dev/pts && mount -t devpts pts /dev/pts
exec </dev/null >/dev/ttyS1 2>&1
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t bpf bpf /sys/fs/bpf
mount -t tmpfs tmp /tmp
mount -t tmpfs run /run

# What Debian 12 and 13 set (`/usr/lib/sysctl.d` of procps, systemd and
# linux-sysctl-defaults), as far as it could make a difference here.
while read -r setting value; do
    echo "$value" >"/proc/sys/$setting" || echo "@failed setting $setting"
done <<SETTINGS
fs/protected_fifos 1
fs/protected_hardlinks 1
fs/protected_regular 2
fs/protected_symlinks 1
kernel/unprivileged_bpf_disabled 2
net/ipv4/conf/default/rp_filter 2
net/ipv4/conf/default/accept_source_route 0
net/ipv4/conf/default/promote_secondaries 1
SETTINGS

# Should the host be gone, the machine ends all the same.
(sleep 5400; poweroff -f) &

# Else each namespace of a test would begin with a device of every kind of tunnel.
echo 1 >/proc/sys/net/core/fb_tunnels_only_for_init_net

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

cat /tests/environment
. /tests/environment

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
