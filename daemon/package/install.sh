#!/bin/sh
# Installs udpchat from the folder of this script, or removes it.
#
#   ./install.sh                 below /usr/local, with the user and group `udpchat`
#   ./install.sh --uninstall     removes it; keeps the configuration, the inbox and the user
#
# PREFIX=/opt/udpchat installs elsewhere; the units then go to /etc/systemd, where systemd looks for them. With
# DESTDIR=/some/folder it only copies files there, as for a package: it creates no user and does not touch services. Run from a
# newer release, it upgrades.
set -eu

here=$(cd "$(dirname "$0")" && pwd)
PREFIX=${PREFIX:-/usr/local}
DESTDIR=${DESTDIR:-}
config=$DESTDIR/etc/udpchat/config.toml

say() { echo "udpchat: $*"; }
has() { command -v "$1" >/dev/null 2>&1; }
systemd_runs() { [ -z "$DESTDIR" ] && [ -d /run/systemd/system ]; }

# Lists the installed files, as paths below the prefix.
files() { (cd "$here" && find bin lib share -type f | sort); }

# Returns where a file below the prefix goes: systemd reads units only below some prefixes, and in /etc.
place() {
    case $PREFIX:$1 in
        /usr:* | /usr/local:*) echo "$DESTDIR$PREFIX/$1" ;;
        *:lib/systemd/*) echo "$DESTDIR/etc/${1#lib/}" ;;
        *) echo "$DESTDIR$PREFIX/$1" ;;
    esac
}

# Installs one file atomically: a daemon that starts meanwhile finds the old one or the new one.
put() {
    mkdir -p "$(dirname "$2")"
    case $2 in
        # Units contain the absolute paths of the programs.
        */systemd/*) sed "s|/usr/bin/|$PREFIX/bin/|g" "$1" >"$2.new" ;;
        *) cp "$1" "$2.new" ;;
    esac
    if [ -x "$1" ]; then chmod 755 "$2.new"; else chmod 644 "$2.new"; fi
    mv -f "$2.new" "$2"
}

add_user() {
    if has systemd-sysusers; then
        systemd-sysusers "$here/lib/sysusers.d/udpchat.conf"
    elif getent passwd udpchat >/dev/null; then
        :
    elif has useradd; then
        useradd --system --user-group --home-dir /var/lib/udpchat --no-create-home --shell /usr/sbin/nologin \
            --comment udpchat udpchat
    elif has adduser; then
        # The options of busybox.
        addgroup -S udpchat
        adduser -S -D -H -h /var/lib/udpchat -s /sbin/nologin -G udpchat udpchat
    else
        say "neither systemd-sysusers nor useradd nor adduser is installed: create the user and group \`udpchat\` yourself" >&2
    fi
}

install_all() {
    if [ -z "$DESTDIR" ]; then add_user; fi
    files | while read -r file; do put "$here/$file" "$(place "$file")"; done
    if [ -e "$config" ]; then
        say "$config is unchanged; the new default is in $PREFIX/share/doc/udpchat/config"
    else
        put "$here/etc/udpchat/config.toml" "$config"
    fi
    if systemd_runs; then
        systemctl daemon-reload
        if systemctl --quiet is-active udpchatd.service; then
            # The socket unit keeps the port open: datagrams wait in it meanwhile.
            systemctl restart udpchatd.service
            say "upgraded and restarted"
        else
            say "installed; \`systemctl enable --now udpchatd.socket udpchatd.service\` starts it now and at boot"
        fi
    elif [ -z "$DESTDIR" ]; then
        say "installed; services for other service managers are in $PREFIX/share/doc/udpchat/examples"
    fi
}

uninstall() {
    if systemd_runs && [ -e "$(place lib/systemd/system/udpchatd.service)" ]; then
        # The socket first, or traffic would start the service again.
        systemctl disable --now udpchatd.socket udpchatd.service || true
    fi
    files | while read -r file; do rm -f "$(place "$file")"; done
    # Removes the folders that only it uses.
    find "$DESTDIR$PREFIX/share/doc/udpchat" -depth -type d -exec rmdir {} \; 2>/dev/null || true
    if systemd_runs; then systemctl daemon-reload; fi
    say "removed; /etc/udpchat, /var/lib/udpchat and the user \`udpchat\` are kept"
}

usage() { sed -n '2,/^set /{/^set /d;s/^# \{0,1\}//;p}' "$0"; }

case ${1:-} in
    "") install_all ;;
    --uninstall) uninstall ;;
    --help | -h) usage ;;
    *) usage >&2; exit 2 ;;
esac
