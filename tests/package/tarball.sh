# The tar.gz with its install script, in a machine with systemd; and installed below a folder, as other packagers do.

part_tarball() {
    title "the tar.gz"
    boot_fresh
    local root=/proc/$machine/root
    mkdir "$root/root/unpacked"
    tar --extract --strip-components=1 --directory "$root/root/unpacked" --file "$archive"
    point "install.sh installs below /usr/local" in_machine /root/unpacked/install.sh
    point "the user and group are made" same "$(in_machine id -gn udpchat)" udpchat
    point "nothing is started by itself" not active udpchatd.service
    point "its units name its programs" prints /usr/local/bin/udpchatd in_machine systemctl cat udpchatd.service
    point "systemctl enable --now starts socket and service" \
        in_machine systemctl enable --now udpchatd.socket udpchatd.service
    point "a message from another machine arrives" message_arrives "hello tar"
    in_machine sh -c 'echo "[text]" >/etc/udpchat/config.toml; echo "fallback = \"big5\"" >>/etc/udpchat/config.toml'
    local before
    before=$(property ActiveEnterTimestampMonotonic udpchatd.socket)
    point "run again, it upgrades and restarts" prints "restarted" in_machine /root/unpacked/install.sh
    point "the socket stays open meanwhile" same "$(property ActiveEnterTimestampMonotonic udpchatd.socket)" "$before"
    point "the changed configuration is kept" prints 'fallback = "big5"' in_machine cat /etc/udpchat/config.toml
    point "the service runs" active udpchatd.service
    point "--help shows how to use it" prints "PREFIX=" in_machine /root/unpacked/install.sh --help
    point "an unknown word is refused" ends_with 2 in_machine /root/unpacked/install.sh --remove
    point "install.sh --uninstall removes it" in_machine /root/unpacked/install.sh --uninstall
    point "the port is closed then" not port_is_open
    point "no file is left but the configuration and the inbox" \
        same "$(in_machine find /usr/local /etc /var -type f -path '*udpchat*' | sed 's|/inbox.*|/inbox|' | sort -u | tr '\n' ' ')" \
        "/etc/udpchat/config.toml $(in_machine find /var/lib/udpchat -type f | sed 's|/inbox.*|/inbox|' | sort -u | tr '\n' ' ')"
    point "with DESTDIR and PREFIX it is only put there" \
        in_machine env DESTDIR=/root/staged PREFIX=/usr /root/unpacked/install.sh
    point "with all its files" in_machine test -x /root/staged/usr/bin/udpchatd -a -e /root/staged/etc/udpchat/config.toml \
        -a -e /root/staged/usr/lib/systemd/system/udpchatd.socket -a ! -e /usr/bin/udpchatd
    point "below another PREFIX it installs" in_machine env PREFIX=/opt/udpchat /root/unpacked/install.sh
    point "systemd finds its units" prints /opt/udpchat/bin/udpchatd in_machine systemctl cat udpchatd.service
    point "and starts them" in_machine systemctl enable --now udpchatd.socket udpchatd.service
    point "--uninstall with that PREFIX removes it" in_machine env PREFIX=/opt/udpchat /root/unpacked/install.sh --uninstall
    point "and stops the service" not active udpchatd.service
    point "no unit is left" same "$(in_machine find /opt /etc/systemd -name 'udpchat*.s*')" ""
    halt
}
