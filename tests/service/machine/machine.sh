# Keeps a machine: its files, and the processes of each of its boots. Arguments: its folder, the project, the folder of the
# built programs, boot.sh. For each line on standard input it boots once and prints `pid N`, the host's number of the
# machine's first process. At the end of its input, so also when the test ends in whatever way, everything is gone.
#
# The files are those of the host with a layer above them, in memory, that takes every change. `/srv` and the data of the
# daemon are on the host's disk, below the folder. All mounts are in a mount namespace of this shell's own.
set -eu
folder=$1 project=$2 programs=$3 boot=$4
memory=$folder/memory disk=$folder/disk root=$folder/memory/root

mount --make-rprivate /
mkdir -p "$memory" "$disk/udpchat"
mount -t tmpfs -o mode=755 tmpfs "$memory"
mkdir "$memory/changes" "$memory/work" "$memory/cgroup" "$root"
mount -t overlay -o "lowerdir=/,upperdir=$memory/changes,workdir=$memory/work" machine "$root"

# Of the units that the host has installed and enabled, only those that systemd needs start.
cd "$root"
rm -rf etc/systemd/system var/log/journal
mkdir -p etc/systemd/system etc/systemd/journald.conf.d
: > etc/fstab
for unit in getty.target console-getty.service modprobe@.service systemd-modules-load.service \
    systemd-remount-fs.service systemd-sysctl.service; do
    ln -s /dev/null "etc/systemd/system/$unit"
done
# In memory, and nothing left out, however much a test logs.
printf '[Journal]\nStorage=volatile\nRateLimitBurst=0\n' > etc/systemd/journald.conf.d/test.conf

# udpchat, as a package installs it.
for program in udpchatd udpchatctl; do
    rm -f "usr/bin/$program"
    : > "usr/bin/$program"
    mount --bind "$programs/$program" "usr/bin/$program"
done
cp "$project"/daemon/systemd/system/* usr/lib/systemd/system/
cp "$project"/daemon/systemd/user/* usr/lib/systemd/user/
cp "$project/daemon/systemd/sysusers.conf" usr/lib/sysusers.d/udpchat.conf
systemd-sysusers --root="$root" udpchat.conf 2>/dev/null
mkdir -p etc/udpchat var/lib/udpchat
mount --bind "$disk" srv
mount --bind "$disk/udpchat" var/lib/udpchat

# A cgroup of its own, whose root is the machine's.
mount -t cgroup2 cgroup2 "$memory/cgroup"
group=$memory/cgroup/udpchat-test-$$

end() {
    kill -KILL "$booted" 2>/dev/null || true
    wait "$booted" 2>/dev/null || true
    # What was killed leaves its groups a moment later.
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && return
        sleep 0.1
    done
}

booted=
while read -r _boot; do
    [ -z "$booted" ] || end
    mkdir "$group"
    sh -c 'echo $$ > "$0/cgroup.procs"; exec "$@"' "$group" \
        unshare --mount --pid --fork --kill-child --net --cgroup --uts --ipc sh "$boot" "$root" "$project" &
    booted=$!
done
[ -z "$booted" ] || end
