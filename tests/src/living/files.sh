# Keeps the files of a box for as long as somebody holds standard input: a root file
# system that stays as it is, and in memory what becomes of it.
# $1: the root file system
mount -t tmpfs -o mode=755 tmpfs /mnt
cd /mnt
mkdir lower upper work root
mount --bind "$1" lower
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work overlay root
echo kept
exec cat
