# One user's own daemon, by the user's units of the package, in a machine with logind.

part_user() {
    title "the user's unit"
    boot_fresh
    point "the package installs" install_deb "$deb"
    point "no user's unit is enabled by it" not as_manager ann is-enabled udpchatd.socket udpchatd.service
    # The system's daemon has the port.
    in_machine systemctl disable --now udpchatd.socket udpchatd.service 2>/dev/null
    point "loginctl enable-linger starts ann's service manager" in_machine loginctl enable-linger ann
    point "it answers" eventually as_manager ann is-system-running
    point "systemd-analyze verify is silent about the user's units" same "" \
        "$(as ann systemd-analyze --user verify /usr/lib/systemd/user/udpchatd.service /usr/lib/systemd/user/udpchatd.socket 2>&1)"
    point "systemctl --user enable --now starts socket and service" \
        as_manager ann enable --now udpchatd.socket udpchatd.service
    point "both run" as_manager ann is-active udpchatd.socket udpchatd.service
    saw "$(as_manager ann show -p ActiveState -p MainPID -p StatusText udpchatd.service | tr '\n' ' ')"
    point "it runs as ann" same "$(in_machine stat -c %U "/proc/$(as_manager ann show --value -p MainPID udpchatd.service)")" ann
    point "ann reads and sends without naming a socket" as ann udpchatctl send 192.0.2.1:9 hello
    from_outside bash -c 'printf "hello ann" >/dev/udp/192.0.2.2/7788'
    point "a message from another machine arrives" eventually prints "hello ann" as ann udpchatctl inbox -n 5
    point "the inbox is below her home" in_machine test -e /home/ann/.local/share/udpchat/inbox.db
    point "bob may not read it" not as bob udpchatctl --socket "/run/user/$(in_machine id -u ann)/udpchat/control.sock" status
    point "systemctl --user reload applies the configuration" as_manager ann reload udpchatd
    point "systemctl --user restart starts a new process" as_manager ann restart udpchatd
    point "it runs" as_manager ann is-active udpchatd.service
    point "systemctl --user stop of both closes the port" as_manager ann stop udpchatd.socket udpchatd.service
    point "the port is closed then" not port_is_open
    halt
}

# Runs systemctl for a user's service manager: as_manager USER COMMAND...
as_manager() {
    local user=$1
    shift
    as "$user" systemctl --user "$@"
}
