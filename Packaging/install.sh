#!/bin/sh
# Part of Inkstone. Licence: see LICENSE.
#
# Installs the archive that this script is in, and says what it does.
set -eu
umask 022

usage() {
    cat <<'END'
usage: ./install.sh [--prefix FOLDER] [--service] [--no-packages]
       ./install.sh [--prefix FOLDER] --uninstall

  --prefix FOLDER   where to install; /usr/local if not given, PREFIX in the environment is read as well
  --service         also systemd services with a user of their own, inkstone; as root
  --no-packages     do not install missing system libraries
  --uninstall       removes what was installed, but no data
END
}

fail() {
    echo "install.sh: $*" >&2
    exit 1
}

here=$(cd "$(dirname "$0")" && pwd)
prefix=${PREFIX:-}
service=no
packages=yes
action=install
while [ $# -gt 0 ]; do
    case $1 in
    --prefix)
        [ $# -ge 2 ] || fail "--prefix needs a folder"
        prefix=$2
        shift
        ;;
    --prefix=*) prefix=${1#--prefix=} ;;
    --service) service=yes ;;
    --no-packages) packages=no ;;
    --uninstall) action=uninstall ;;
    -h | --help)
        usage
        exit 0
        ;;
    *)
        usage >&2
        fail "unknown option $1"
        ;;
    esac
    shift
done
# Installed, the script is in share/inkstone of the prefix, beside the list of installed files.
if [ -z "$prefix" ] && [ -f "$here/installed-files" ]; then
    prefix=$(cd "$here/../.." && pwd)
fi
prefix=${prefix:-/usr/local}
case $prefix in
/*) ;;
*) prefix=$PWD/$prefix ;;
esac
list=$prefix/share/inkstone/installed-files
units="inkstone.service inkstone-worker.service"
# Files of settings: /etc/inkstone/NAME, from share/inkstone.
settings="inkstone.yaml worker.env"

is_root() { [ "$(id -u)" -eq 0 ]; }
has_systemd() { [ -d /run/systemd/system ]; }

check_archive() {
    [ -f "$here/SHA256SUMS" ] || fail "$here/SHA256SUMS is missing: run install.sh from the unpacked archive"
    echo "Checking the files of the archive"
    (cd "$here" && sha256sum --check --quiet SHA256SUMS) || fail "the archive is damaged: unpack it again"
    machine=$(sed -n 's/^machine=//p' "$here/share/inkstone/release")
    [ "$(uname -m)" = "$machine" ] || fail "these programs are for $machine, this machine is $(uname -m)"
}

# The shared libraries that the programs need and this system lacks.
missing_libraries() {
    ldd "$here/bin/inkstone" "$here/bin/imgbench" 2>&1 | sed -n 's/^[[:space:]]*\(lib[^ ]*\) => not found.*/\1/p' | sort -u
}

# The first of some packages that this distribution has.
known_package() {
    for package; do
        if apt-cache show "$package" >/dev/null 2>&1; then
            echo "$package"
            return
        fi
    done
    echo "$1"
}

check_libraries() {
    if ldd "$here/bin/inkstone" 2>&1 | grep -q 'GLIBC_.*not found'; then
        fail "the C library of this system is too old: glibc 2.35 or newer is needed (Debian 12, Ubuntu 22.04)"
    fi
    missing=$(missing_libraries)
    [ -n "$missing" ] || return 0
    echo "Missing system libraries:" $missing
    if ! command -v apt-get >/dev/null 2>&1; then
        fail "install libcurl (with OpenSSL) and OpenSSL 3, then run this again"
    fi
    if [ "$packages" = no ] || ! is_root; then
        fail "run as root: apt-get install libcurl4 libssl3 ca-certificates; then run this again"
    fi
    echo "Installing them with apt-get"
    apt-get update -qq
    names="$(known_package libcurl4t64 libcurl4) $(known_package libssl3t64 libssl3) ca-certificates"
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $names >/dev/null
    missing=$(missing_libraries)
    [ -z "$missing" ] || fail "still missing:" $missing
}

# Makes a folder, and records it and its parents if they are new.
make_folder() {
    [ ! -d "$1" ] || return 0
    make_folder "$(dirname "$1")" || return 1
    mkdir "$1" || return 1
    chmod 755 "$1"
    echo "$1/" >>"$new"
}

# Installs one file of the archive: source, destination, mode.
put() {
    make_folder "$(dirname "$2")"
    rm -f "$2"
    cp "$1" "$2"
    chmod "$3" "$2"
    echo "$2" >>"$new"
}

install_files() {
    echo "Installing to $prefix"
    new=$(mktemp)
    make_folder "$prefix/share/inkstone" || fail "cannot write to $prefix: run as root, or give --prefix"
    (cd "$here" && find bin share -type f | sort) | while read -r file; do
        case $file in
        bin/*) put "$here/$file" "$prefix/$file" 755 ;;
        *) put "$here/$file" "$prefix/$file" 644 ;;
        esac
    done
    put "$here/install.sh" "$prefix/share/inkstone/install.sh" 755
    [ "$service" = no ] || install_service
    remove_earlier
}

# Removes files of an earlier version that this one does not have, and keeps the list of what is installed.
remove_earlier() {
    if [ -f "$list" ]; then
        sort -u "$list" | while read -r path; do
            if ! grep -qxF "$path" "$new"; then
                case $path in
                */) echo "$path" >>"$new" ;;
                *) rm -f "$path" ;;
                esac
            fi
        done
    fi
    sort -u "$new" >"$list"
    rm -f "$new"
}

install_service() {
    make_folder "$prefix/lib/systemd/system"
    for name in $units; do
        unit=$prefix/lib/systemd/system/$name
        sed "s#@PREFIX@#$prefix#" "$here/lib/systemd/system/$name" >"$unit"
        chmod 644 "$unit"
        echo "$unit" >>"$new"
    done
    if ! getent passwd inkstone >/dev/null; then
        echo "Adding the user inkstone"
        useradd --system --user-group --home-dir /var/lib/inkstone --no-create-home \
            --shell /usr/sbin/nologin inkstone
    fi
    make_folder /etc/inkstone
    for name in $settings; do
        if [ ! -e "/etc/inkstone/$name" ]; then
            cp "$here/share/inkstone/$name" "/etc/inkstone/$name"
            chmod 644 "/etc/inkstone/$name"
        fi
    done
    ! has_systemd || systemctl daemon-reload
    echo "Start the service with: systemctl enable --now inkstone"
    echo "Or, after setting the queue in /etc/inkstone/worker.env, a worker of a fleet: systemctl enable --now inkstone-worker"
}

remove_service() {
    echo "Removing the service"
    if has_systemd; then
        for name in $units; do
            systemctl disable --now "$name" || true
        done
    fi
    for name in $settings; do
        if cmp -s "/etc/inkstone/$name" "$prefix/share/inkstone/$name"; then
            rm -f "/etc/inkstone/$name"
        elif [ -e "/etc/inkstone/$name" ]; then
            echo "/etc/inkstone/$name was changed and stays"
        fi
    done
    if [ ! -e /var/lib/inkstone ] && getent passwd inkstone >/dev/null; then
        userdel inkstone
    fi
}

uninstall() {
    [ -f "$list" ] || fail "$list does not exist: nothing is installed in $prefix by install.sh"
    [ -w "$list" ] || fail "$list cannot be removed: run as root"
    echo "Removing Inkstone from $prefix"
    service=no
    if grep -q '/inkstone\.service$' "$list"; then
        service=yes
        remove_service
    fi
    # Files first, then folders that were made for them, the deepest first, if nothing else is in them.
    installed=$(sort -r "$list")
    rm -f "$list"
    echo "$installed" | grep -v '/$' | while read -r path; do rm -f "$path"; done
    echo "$installed" | grep '/$' | while read -r path; do rmdir "$path" 2>/dev/null || true; done
    if [ "$service" = yes ] && has_systemd; then
        systemctl daemon-reload
    fi
    echo "Removed. Data stay in ~/.local/share/inkstone of users, and in /var/lib/inkstone of the service."
}

if [ "$action" = uninstall ]; then
    uninstall
    exit 0
fi
check_archive
if [ "$service" = yes ] && ! is_root; then
    fail "--service needs root"
fi
check_libraries
install_files
echo "Installed. Serve the page with: $prefix/bin/inkstone serve"
