# Boots a box, and sees to it that nothing of it outlives whoever started it: when
# nobody holds standard input any more, however that came, the power is cut.
# $1: a process that keeps the files of the box; $2: a control group to make for it;
# $3: the script of its process 1, which prints the number of that process once it sees
# nothing but the box. Standard output is closed when it is over.
keeper=$1 group=$2 init=$3
mkdir "$group"
# The box looks at the control group from within, so it enters first. In /proc, which
# is not yet its own, it sees its number out here.
nsenter --mount="/proc/$keeper/ns/mnt" unshare --pid --fork --kill-child \
    --mount --propagation private --ipc --uts sh -ec '
        read -r number _ </proc/self/stat
        echo 0 >"$1/cgroup.procs"
        exec unshare --cgroup sh -ec "$2" sh "$number"
    ' sh "$group" "$init" </dev/null &
box=$!
exec >/dev/null
read -r _ || :
kill -KILL "$box" 2>/dev/null || :
wait "$box" 2>/dev/null || :
# The kernel ends the processes of the box one after the other.
while [ -d "$group" ]; do
    find "$group" -depth -type d -exec rmdir {} + 2>/dev/null || sleep 0.02
done
