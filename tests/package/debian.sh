# The Debian package, from its first installation to its purge, in a machine with a running systemd.

part_debian() {
    title "the Debian package"
    point "lintian has nothing to say" lintian --fail-on error,warning --allow-root "$deb"
    boot_fresh
    variant 2 "$work/two.deb"
    variant 3 "$work/three.deb" 's/^ReceiveBuffer=.*/ReceiveBuffer=4M/' udpchatd.socket
    variant 4 "$work/four.deb"
    installation
    units_are_sound
    permissions
    reload_and_restart
    upgrade_under_load
    changed_socket
    administrators_decisions
    bad_configuration
    newer_inbox
    removal
    policy
    halt
}

# Repacks the package as another revision, with something changed in a unit if that is requested:
# variant REVISION FILE [SED-SCRIPT UNIT]
variant() {
    local folder=$work/repacked
    rm -rf "$folder"
    dpkg-deb --raw-extract "$deb" "$folder"
    sed -i "s/^Version: \(.*\)-.*/Version: \1-$1/" "$folder/DEBIAN/control"
    if [ $# -gt 2 ]; then sed -i "$3" "$folder/usr/lib/systemd/system/$4"; fi
    dpkg-deb --build --root-owner-group -Znone "$folder" "$2" >/dev/null
}

# Installs a package as administrators do, from a file: install_deb FILE. Its output is in $work/said.
install_deb() {
    put "$1" /root/udpchat.deb
    in_machine apt-get install -q -y --allow-downgrades --reinstall -o Dpkg::Use-Pty=0 -o APT::Sandbox::User=root \
        /root/udpchat.deb >"$work/said" 2>&1
}

apt() { in_machine apt-get -q -y "$@" >"$work/said" 2>&1; }
active() { in_machine systemctl is-active --quiet "$@"; }
enabled() { in_machine systemctl is-enabled --quiet "$@"; }
property() { in_machine systemctl show --value -p "$1" "$2"; }
installed() { in_machine dpkg-query -W -f '${db:Status-Abbrev}' udpchat 2>/dev/null | grep -qx 'ii *'; }
port_is_open() { in_machine grep -qi ':1E6C ' /proc/net/udp /proc/net/udp6; }
ctl() { in_machine udpchatctl "$@"; }
exists() { in_machine test -e "$1"; }

# Sends a message from outside and waits until it is in the inbox: message_arrives TEXT
message_arrives() {
    from_outside bash -c 'printf "%s" "$1" >/dev/udp/192.0.2.2/7788' bash "$1"
    eventually prints "$1" ctl inbox -n 5
}

installation() {
    point "the package installs from its file" install_deb "$deb"
    point "socket and service are enabled and run" \
        eval "active udpchatd.socket && active udpchatd.service && enabled udpchatd.socket && enabled udpchatd.service"
    point "it runs as the user udpchat, in a group of that name" \
        same "$(in_machine stat -c %U:%G "/proc/$(property MainPID udpchatd.service)")" udpchat:udpchat
    point "the daemon has the port from systemd, with a receive buffer of 8 MiB" \
        prints '"granted":8388608' ctl --json status
    point "the configuration is a conffile" prints /etc/udpchat/config.toml in_machine cat /var/lib/dpkg/info/udpchat.conffiles
    point "the configuration sets nothing" \
        same "$(in_machine udpchatd --system --check-config 2>/dev/null | grep -vc -E '# (default|flag --system)')" 0
    point "manual pages and completions are where they belong" in_machine test -e /usr/share/man/man1/udpchatctl.1.gz \
        -a -e /usr/share/man/man8/udpchatd.8.gz -a -e /usr/share/man/man5/udpchat.toml.5.gz \
        -a -e /usr/share/bash-completion/completions/udpchatctl -a -e /usr/share/zsh/vendor-completions/_udpchatctl \
        -a -e /usr/share/fish/vendor_completions.d/udpchatctl.fish
    point "so are the Chinese manual pages" in_machine test -e /usr/share/man/zh_CN/man1/udpchatctl.1.gz \
        -a -e /usr/share/man/zh_CN/man8/udpchatd.8.gz -a -e /usr/share/man/zh_CN/man5/udpchat.toml.5.gz
    point "the others are English on every machine that packs them" \
        not eval "in_machine zcat /usr/share/man/man1/udpchatctl.1.gz | grep -q '^.SH 名称'"
    point "nothing lies in /lib, which is /usr/lib" not grep -q ' \./lib' <(dpkg-deb -c "$deb")
    point "a message from another machine arrives" message_arrives hello
}

units_are_sound() {
    local units=/usr/lib/systemd score
    point "systemd-analyze verify is silent about the system's units" \
        same "$(in_machine systemd-analyze verify $units/system/udpchatd.service $units/system/udpchatd.socket 2>&1)" ""
    score=$(in_machine systemd-analyze security udpchatd.service | sed -n 's/.*udpchatd.service: \([0-9.]*\).*/\1/p')
    saw "systemd-analyze security says $score"
    point "its exposure is 1.5 at most" awk "BEGIN { exit !($score <= 1.5) }"
}

permissions() {
    point "a user who is not in the group may not connect" ends_with 6 as bob udpchatctl status
    in_machine usermod -aG udpchat ann
    point "a user who is in the group may read" as ann udpchatctl status
    point "a user who is in the group may send" as ann udpchatctl send 192.0.2.1:9 hello
    point "the inbox is for the daemon's user alone" same "$(in_machine stat -c %a:%U /var/lib/udpchat)" 700:udpchat
}

reload_and_restart() {
    local before
    point "systemctl status reports that it runs" prints "active (running)" in_machine systemctl status udpchatd
    point "systemctl reload applies the configuration" in_machine systemctl reload udpchatd
    in_machine sh -c 'echo "listne = 3" >>/etc/udpchat/config.toml'
    point "systemctl reload fails where the configuration is refused" not in_machine systemctl reload udpchatd
    point "the journal names the mistake" prints listne in_machine journalctl -u udpchatd --no-pager
    point "the daemon continues with the old one" active udpchatd
    in_machine sed -i '/listne/d' /etc/udpchat/config.toml
    before=$(property MainPID udpchatd)
    point "systemctl restart makes a new process" in_machine systemctl restart udpchatd
    point "which is another one" differ "$(property MainPID udpchatd)" "$before"
    point "systemctl stop of both closes the port" in_machine systemctl stop udpchatd.socket udpchatd.service
    point "the port is closed then" not port_is_open
    point "systemctl start of the service brings the socket along" in_machine systemctl start udpchatd.service
    point "both run again" active udpchatd.socket udpchatd.service
}

upgrade_under_load() {
    local before socket sent
    before=$(property MainPID udpchatd)
    socket=$(property ActiveEnterTimestampMonotonic udpchatd.socket)
    load
    sleep 1
    point "the package is upgraded beside 4,000 datagrams a second" install_deb "$work/two.deb"
    sleep 1
    load_ends
    sent=$(cat "$work/sent")
    point "the port was never closed to the sender" same "$(cat "$work/refused")" ""
    point "the new version is installed" prints -2 in_machine dpkg-query -W udpchat
    point "the daemon was restarted" differ "$(property MainPID udpchatd)" "$before"
    point "it is the program that the package brought" \
        not prints deleted in_machine readlink "/proc/$(property MainPID udpchatd)/exe"
    point "the socket was not restarted" same "$(property ActiveEnterTimestampMonotonic udpchatd.socket)" "$socket"
    point "it is still systemd that holds the port" active udpchatd.socket
    eventually prints "load $((sent - 1))" ctl inbox -n 1 || true
    in_machine udpchatctl export >"$work/export" || true
    point "none of $sent datagrams is lost, none is there twice" eval "python3 '$here/load.py' missing $sent <'$work/export'"
    saw "$(python3 "$here/load.py" missing "$sent" <"$work/export" || true)"
}

changed_socket() {
    point "an upgrade with another socket unit installs" install_deb "$work/three.deb"
    point "it reports that the socket keeps its old settings, and the remedy" \
        grep -q 'systemctl start udpchatd.service' "$work/said"
    saw "$(grep '^udpchat: ' "$work/said")"
    point "the remedy works" in_machine sh -c "$(sed -n 's/^udpchat: .* until `\(.*\)`.*/\1/p' "$work/said")"
    point "then the new settings hold" prints '"granted":4194304' ctl --json status
    point "an upgrade with the same socket unit says nothing" \
        eval "install_deb '$work/three.deb' && not grep -q '^udpchat: ' '$work/said'"
}

administrators_decisions() {
    in_machine sh -c 'echo "[text]" >/etc/udpchat/config.toml; echo "fallback = \"big5\"" >>/etc/udpchat/config.toml'
    in_machine systemctl disable --now udpchatd.socket udpchatd.service 2>/dev/null
    point "an upgrade goes through while it is disabled" install_deb "$work/four.deb"
    point "it stays disabled and stopped" not eval "active udpchatd.socket || active udpchatd.service || enabled udpchatd.socket || enabled udpchatd.service"
    in_machine systemctl mask udpchatd.socket udpchatd.service 2>/dev/null
    point "an upgrade goes through while it is masked" install_deb "$work/two.deb"
    point "it stays masked" same "$(in_machine systemctl is-enabled udpchatd.service udpchatd.socket | sort -u)" masked
    in_machine systemctl unmask udpchatd.socket udpchatd.service 2>/dev/null
    in_machine systemctl enable --now udpchatd.socket udpchatd.service 2>/dev/null
    point "the changed configuration is kept" prints 'fallback = "big5"' in_machine cat /etc/udpchat/config.toml
    # Without the socket unit the daemon binds the port itself.
    in_machine systemctl disable --now udpchatd.socket udpchatd.service 2>/dev/null
    in_machine systemctl mask udpchatd.socket 2>/dev/null
    in_machine systemctl enable --now udpchatd.service 2>/dev/null
    point "with the socket masked, the service binds its port itself" message_arrives "without a socket unit"
    point "an upgrade goes through with the socket masked" install_deb "$work/four.deb"
    point "the service runs, and the socket does not" eval "active udpchatd.service && not active udpchatd.socket"
    in_machine systemctl stop udpchatd.service
    in_machine systemctl unmask udpchatd.socket 2>/dev/null
    in_machine systemctl enable --now udpchatd.socket udpchatd.service 2>/dev/null
    point "the socket comes back when it is unmasked" active udpchatd.socket udpchatd.service
}

bad_configuration() {
    in_machine sh -c 'echo "[text]" >/etc/udpchat/config.toml; echo "fallback = \"big6\"" >>/etc/udpchat/config.toml'
    point "an upgrade with a mistake in the configuration succeeds" install_deb "$work/two.deb"
    point "the package is wholly installed" installed
    point "it says that the daemon is not running" grep -q 'udpchatd is not running' "$work/said"
    saw "$(grep '^udpchat: ' "$work/said")"
    point "systemctl status says where the mistake is" prints 'config.toml:2' in_machine systemctl status udpchatd
    in_machine sed -i s/big6/big5/ /etc/udpchat/config.toml
    point "after it is mended, systemctl start works at once" in_machine systemctl start udpchatd.service
    point "and messages arrive" message_arrives mended
}

# SQLite's user_version is the number at byte 60, with the most significant byte first.
set_schema() { printf "\\x00\\x00\\x$1\\x$2" | in_machine dd of=/var/lib/udpchat/inbox.db bs=1 seek=60 conv=notrunc status=none; }

newer_inbox() {
    local before schema
    in_machine systemctl stop udpchatd.socket udpchatd.service
    schema=$(in_machine od -An -tx1 -j62 -N2 /var/lib/udpchat/inbox.db)
    set_schema 00 63
    before=$(in_machine sha256sum /var/lib/udpchat/inbox.db)
    point "a downgrade below the inbox's version installs" install_deb "$work/two.deb"
    point "the package is wholly installed then" installed
    point "the journal says that the inbox is newer" \
        eventually prints "newer" in_machine journalctl -u udpchatd --no-pager -n 20
    saw "$(in_machine journalctl -u udpchatd --no-pager -n 20 -o cat | grep -m 1 newer || true)"
    in_machine systemctl stop udpchatd.socket udpchatd.service
    point "the inbox is unchanged, byte for byte" same "$(in_machine sha256sum /var/lib/udpchat/inbox.db)" "$before"
    set_schema ${schema:1}
    point "with the right version it starts again" in_machine systemctl start udpchatd.service
    point "and has its messages" prints mended ctl inbox -n 5
}

removal() {
    point "the package is removed" apt remove udpchat
    point "the port is closed then" not port_is_open
    point "no process is left" in_machine sh -c '! grep -lx udpchatd /proc/[0-9]*/comm'
    point "nothing is left in /run" not exists /run/udpchat
    point "the configuration and the inbox stay" in_machine test -e /etc/udpchat/config.toml -a -e /var/lib/udpchat/inbox.db
    point "it installs again" install_deb "$deb"
    point "and has its configuration" prints 'fallback = "big5"' in_machine cat /etc/udpchat/config.toml
    point "and its messages" prints mended ctl inbox -n 5
    point "the package is purged while it runs" apt purge udpchat
    point "the configuration and the inbox are gone" not eval "exists /etc/udpchat || exists /var/lib/udpchat"
    point "the user stays, so that its number is not given to another" in_machine id udpchat
    point "no unit is left enabled or masked" \
        same "$(in_machine find /etc/systemd /var/lib/systemd -name 'udpchat*' | wc -l)" 0
}

policy() {
    in_machine sh -c 'printf "#!/bin/sh\nexit 101\n" >/usr/sbin/policy-rc.d; chmod 755 /usr/sbin/policy-rc.d'
    point "with a policy against starting services it installs" install_deb "$deb"
    point "and nothing is started" not eval "active udpchatd.socket || active udpchatd.service"
    in_machine rm /usr/sbin/policy-rc.d
    point "with systemctl start it runs" in_machine systemctl start udpchatd.service
}
