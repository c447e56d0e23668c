# Trees of Debian, and machines: trees that are booted with a real systemd in namespaces of their own.

# Makes `base`, a fresh tree, and `booting`, the same with systemd, D-Bus and logind.
make_trees() {
    local saved=${UDPCHAT_TREE:-$work/base.tar} suite=${UDPCHAT_SUITE:-bookworm}
    if [ ! -e "$saved" ]; then
        debootstrap --variant=minbase "$suite" "$work/new" >"$work/debootstrap.log" 2>&1 \
            || { tail "$work/debootstrap.log" >&2; exit 1; }
        tar --create --numeric-owner --directory "$work/new" --file "$saved.part" .
        mv "$saved.part" "$saved"
        rm -rf "$work/new"
    fi
    mkdir "$work/base"
    tar --extract --numeric-owner --directory "$work/base" --file "$saved"
    in_tree base apt-get update -q >/dev/null
    tree_of booting base
    in_tree booting apt-get install -q -y --no-install-recommends cron dbus dbus-user-session libpam-systemd man-db \
        systemd systemd-sysv >/dev/null 2>&1
    saw "$(. "$work/booting/etc/os-release"; echo "$PRETTY_NAME"), $(in_tree booting systemctl --version | head -n 1)"
}

# Copies a tree: tree_of NEW OLD
tree_of() { cp -a "$work/$2" "$work/$1"; }

# Mounts what programs in a tree expect of a kernel, in whatever mount namespace this is called in.
mount_tree() {
    local tree=$1 node
    mount --bind "$tree" "$tree"
    mount -t proc proc "$tree/proc"
    mount -t tmpfs -o mode=755 udpchat-dev "$tree/dev"
    for node in null zero full random urandom tty; do
        touch "$tree/dev/$node"
        mount --bind "/dev/$node" "$tree/dev/$node"
    done
    ln -s /proc/self/fd "$tree/dev/fd"
    mkdir "$tree/dev/pts" "$tree/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666,mode=620,gid=5 devpts "$tree/dev/pts"
    ln -s pts/ptmx "$tree/dev/ptmx"
    mount -t tmpfs -o mode=1777 udpchat-shm "$tree/dev/shm"
}
export -f mount_tree

# The environment in which everything runs there.
clean=(env -i PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive
    HOME=/root TERM=dumb)

# Prints the process that another one has started, as soon as it has.
only_child() {
    eventually grep -q . "/proc/$1/task/$1/children"
    tr -d ' ' <"/proc/$1/task/$1/children"
}

# Runs a command in a tree that is not booted, as in a chroot: no service manager, but its own processes.
in_tree() {
    local tree=$work/$1
    shift
    unshare --mount --pid --fork --kill-child --uts --ipc -- \
        bash -c 'set -e; tree=$1; shift; mount_tree "$tree"; exec chroot "$tree" "$@"' in_tree "$tree" "${clean[@]}" "$@"
}

# Boots a tree: boot TREE. Its process 1 is in $machine then; $outside is a process with a network that leads to it.
boot() {
    local tree=$work/$1
    unshare --mount --pid --fork --kill-child --net --cgroup --uts --ipc -- bash -c '
        set -e
        mount_tree "$1"
        mount -t sysfs -o ro sysfs "$1/sys"
        mount -t cgroup2 none "$1/sys/fs/cgroup"
        mount -t tmpfs -o mode=755 udpchat-run "$1/run"
        cd "$1"
        mkdir run/old
        pivot_root . run/old
        exec chroot . sh -c "umount -l /run/old; rmdir /run/old; exec env -i container=udpchat /lib/systemd/systemd --show-status=no"
    ' boot "$tree" >"$work/boot.log" 2>&1 &
    machine=$(only_child $!)
    eventually in_machine test -S /run/systemd/private
    in_machine systemctl is-system-running --wait >"$work/state" || true
    connect
}

# Boots a fresh copy of `booting`, with two users.
boot_fresh() {
    rm -rf "$work/machine"
    tree_of machine booting
    in_tree machine sh -c 'useradd -m -s /bin/bash ann; useradd -m -s /bin/bash bob'
    boot machine
    saw "systemd is $(cat "$work/state") as process $machine"
}

# Runs a command in the machine, as root.
in_machine() { nsenter --target "$machine" --mount --pid --net --cgroup --uts --ipc --root --wd -- "${clean[@]}" "$@"; }

# Runs a command in the machine as one of its users: as USER COMMAND...
as() {
    local user=$1 uid
    shift
    uid=$(in_machine id -u "$user")
    in_machine setpriv --reuid "$user" --regid "$user" --init-groups env "HOME=/home/$user" "XDG_RUNTIME_DIR=/run/user/$uid" "$@"
}

# Puts a cable between the machine and a network of its own, with other hosts: the addresses of this host do not matter.
connect() {
    unshare --net sleep infinity &
    outside=$!
    eventually has_own_network "$outside"
    from_outside ip link add host0 type veth peer name host0 netns "$machine"
    from_outside sh -c 'ip link set lo up; ip address add 192.0.2.1/30 dev host0; ip link set host0 up'
    nsenter --target "$machine" --net \
        sh -c 'ip link set lo up; ip address add 192.0.2.2/30 dev host0; ip link set host0 up'
}

has_own_network() { differ "$(readlink /proc/self/ns/net)" "$(readlink "/proc/$1/ns/net")"; }

# Runs a command of the host in that network: from_outside COMMAND...
from_outside() { nsenter --target "$outside" --net -- "$@"; }

# Puts a file into the machine: put FILE PATH. Its root folder is reached through its process.
put() { cp -T "$1" "/proc/$machine/root$2"; }

halt() {
    kill -KILL "$machine" "$outside" 2>/dev/null || true
    wait 2>/dev/null || true
}

halt_all() {
    local job
    for job in $(jobs -p); do kill -KILL "$job" 2>/dev/null || true; done
    wait 2>/dev/null || true
}

# Sends numbered datagrams from outside, 4,000 a second, from `load` to `load_ends`. How many there were is in $work/sent then,
# and the errors of the sender in $work/refused.
load() {
    nsenter --target "$outside" --net -- python3 "$here/load.py" send 192.0.2.2 7788 4000 >"$work/sent" 2>"$work/refused" &
    sender=$!
}
load_ends() {
    kill -TERM "$sender"
    wait "$sender" || true
}
