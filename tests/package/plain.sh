# Without systemd: the package in a chroot, OpenRC, runit, cron, and a container.

part_plain() {
    in_a_chroot
    under_openrc
    under_runit
    under_cron
    in_a_container
}

in_a_chroot() {
    title "a chroot without systemd"
    tree_of plain base
    cp "$deb" "$work/plain/root/udpchat.deb"
    point "the package installs" in_tree plain apt-get install -q -y --no-install-recommends /root/udpchat.deb
    point "without systemd" not in_tree plain test -e /lib/systemd/systemd
    point "the user and group are there" same "$(in_tree plain id -gn udpchat)" udpchat
    point "the programs run" in_tree plain udpchatd --system --check-config
    point "the units are enabled, for a boot with systemd" \
        test -L "$work/plain/etc/systemd/system/sockets.target.wants/udpchatd.socket"
    tree_of purged plain
    point "it is purged" in_tree purged apt-get purge -q -y udpchat
    point "nothing of it is left" same "$(cd "$work/purged" && find etc usr var -name '*udpchat*' | tr '\n' ' ')" ""
    rm -rf "$work/purged"
}

# Notes each line that a command prints as a point that holds, and at the end whether the command succeeded:
# points_of TEXT COMMAND...
points_of() {
    local text=$1 status=0 line
    shift
    "$@" >"$work/lines" 2>"$work/errors" || status=$?
    while read -r line; do point "$line" true; done <"$work/lines"
    point "$text" eval "cat '$work/errors'; test $status = 0"
}

# The test under every supervisor, by its own `start`, `stop` and `reload`. Prints a line for each point.
supervised='
set -e
runs() { udpchatctl --socket /run/udpchat/control.sock "$@"; }
number() { runs --json status 2>/dev/null | sed -n "s/.*\"pid\":\([0-9]*\).*/\1/p"; }
within_30_s() {
    for _ in $(seq 300); do if "$@" >/dev/null 2>&1; then return; fi; sleep 0.1; done
    echo "not within 30 s: $*" >&2
    "$@" >&2
}
other() { now=$(number); test -n "$now" && test "$now" != "$first"; }
gone() { ! test -e "/proc/$second"; }

within_30_s runs status
first=$(number)
test "$(stat -c %U "/proc/$first")" = udpchat; echo "it runs as the user udpchat"
test "$(stat -c %a:%U /var/lib/udpchat)" = 700:udpchat; echo "the inbox is for that user alone"
reload >&2; echo "the configuration is read again on demand"
kill -KILL "$first"
within_30_s other; echo "after kill -9 it is started again"
second=$(number)
stop >&2
within_30_s gone; echo "it is stopped"
test ! -e /run/udpchat/control.sock; echo "its socket is gone then"
start >&2
within_30_s runs inbox; echo "it is started again, and answers"
'

under_openrc() {
    title "OpenRC"
    tree_of openrc plain
    in_tree openrc apt-get install -q -y --no-install-recommends openrc >"$work/openrc.log" 2>&1
    cp "$work/openrc/usr/share/doc/udpchat/examples/openrc/udpchatd" "$work/openrc/etc/init.d/udpchatd"
    saw "$(in_tree openrc openrc --version)"
    points_of "OpenRC went through all of it" in_tree openrc env supervised="$supervised" sh -c '
        service() { rc-service --nodeps udpchatd "$1" >&2; }
        start() { service start; }
        stop() { service stop; }
        reload() { service reload; }
        mkdir -p /run/openrc
        touch /run/openrc/softlevel
        rc-update add udpchatd default >&2
        start
        service status && echo "rc-service says that it runs"
        eval "$supervised"
        grep -q "NoNewPrivs:.1" "/proc/$(number)/status"; echo "it can gain no privilege"
        test -s /var/log/udpchat/udpchatd.log; echo "its log is written"
        stop
        echo "listne = 3" >>/etc/udpchat/config.toml
        if start 2>/tmp/why; then exit 1; fi
        grep listne /tmp/why >&2; echo "a mistake in the configuration is said by rc-service start"
    '
}

under_runit() {
    title "runit"
    tree_of runit plain
    in_tree runit apt-get install -q -y --no-install-recommends runit >"$work/runit.log" 2>&1
    mkdir -p "$work/runit/etc/sv" "$work/runit/service"
    cp -R "$work/runit/usr/share/doc/udpchat/examples/runit" "$work/runit/etc/sv/udpchatd"
    ln -s /etc/sv/udpchatd "$work/runit/service/udpchatd"
    saw "$(in_tree runit dpkg-query -W runit)"
    points_of "runit went through all of it" in_tree runit env supervised="$supervised" SVDIR=/service sh -c '
        start() { sv up udpchatd; }
        stop() { sv down udpchatd; }
        reload() { sv reload udpchatd; }
        runsvdir -P /service >&2 &
        eval "$supervised"
        test -s /var/log/udpchat/current; echo "its log is written"
    '
}

under_cron() {
    title "cron"
    tree_of cron plain
    in_tree cron apt-get install -q -y --no-install-recommends cron >"$work/cron.log" 2>&1
    in_tree cron sh -c 'useradd -m ann; echo "@reboot exec udpchatd 2>>udpchatd.log" | crontab -u ann -'
    points_of "cron went through all of it" in_tree cron sh -c '
        set -e
        cron
        ann() { setpriv --reuid ann --regid ann --init-groups env -i HOME=/home/ann PATH=/usr/bin:/bin "$@"; }
        for _ in $(seq 300); do ann udpchatctl status >/dev/null 2>&1 && break; sleep 0.1; done
        ann udpchatctl status >&2; echo "a line with @reboot starts it, without XDG_RUNTIME_DIR, and udpchatctl finds it"
        test -S /home/ann/.local/share/udpchat/control.sock; echo "its socket is in the data directory"
        grep -q ready /home/ann/udpchatd.log; echo "its log is where the line says"
        ann udpchatctl stop >&2; echo "it is stopped by udpchatctl"
    '
}

# No engine for containers is needed to be in one: a root that is read-only, process 1, a user without a name, no
# privilege, no environment but what the Dockerfile sets, and one volume.
in_a_container() {
    title "what a container is like"
    tree_of container plain
    mkdir "$work/container/volume"
    chown 10000:10000 "$work/container/volume"
    contained "UDPCHAT_DATA_DIR=/volume" 2>"$work/container.log" &
    local container=$! first
    first=$(only_child "$container")
    inside() { nsenter --target "$first" --mount --pid --root --wd --setuid 10000 --setgid 10000 env -i PATH=/usr/bin UDPCHAT_DATA_DIR=/volume "$@"; }
    point "it starts as process 1, with nothing to write to but a volume" eventually inside udpchatctl status
    point "udpchatctl finds it by UDPCHAT_DATA_DIR" prints '"pid":1,' inside udpchatctl --json status
    point "nothing else was written" same "$(find "$work/container" -xdev -newer "$work/container/volume" -type f ! -path '*/volume/*' 2>/dev/null | wc -l)" 0
    kill -TERM "$first"
    local status=0
    wait "$container" || status=$?
    point "SIGTERM ends it cleanly" same "$status" 0
    point "without a volume it names the directory that it cannot create" prints "/nowhere" contained "UDPCHAT_DATA_DIR=/nowhere/data"
    point "and ends with 1" ends_with 1 eval "(contained UDPCHAT_DATA_DIR=/nowhere/data)"
    point "without an environment it names the missing flag" prints "--data-dir" contained "NOTHING=1"
}

# Becomes udpchatd as in a container: contained VARIABLE=VALUE. The root is read-only, but for the volume.
contained() {
    exec unshare --mount --pid --fork --kill-child --uts --ipc --net -- bash -c '
        set -e
        tree=$1
        mount_tree "$tree"
        mount --bind "$tree/volume" "$tree/volume"
        mount -o remount,ro,bind "$tree"
        exec chroot "$tree" setpriv --reuid 10000 --regid 10000 --clear-groups --no-new-privs --bounding-set -all \
            --inh-caps -all env -i PATH=/usr/bin "$2" udpchatd
    ' contained "$work/container" "$1"
}
