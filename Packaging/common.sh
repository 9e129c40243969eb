# Part of Inkstone. Licence: see LICENSE.
#
# What all packaging scripts share; sourced, not run.
set -euo pipefail
export LC_ALL=C TZ=UTC
umask 022

packaging=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
repository=$(dirname "$packaging")
# The programs are compiled apart from those of `make build`: their flags differ.
scratch=$repository/.build-package
libraries=$scratch/libraries
programs=$scratch/release
packages=${PACKAGES:-$repository/.build/packages}

version=$(sed -n 's/^public let version = "\(.*\)"$/\1/p' "$repository"/Sources/*/*.swift)
machine=$(uname -m)
triplet=$machine-linux-gnu
name=inkstone-$version-linux-$machine
tree=$scratch/tree/$name

# The time in archives is the commit's: the same commit gives the same bytes.
if [ -z "${SOURCE_DATE_EPOCH:-}" ]; then
    SOURCE_DATE_EPOCH=$(git -C "$repository" log -1 --format=%ct)
fi
export SOURCE_DATE_EPOCH

fail() {
    echo "$*" >&2
    exit 1
}

# Fails unless all commands are installed; each is followed by its Debian package.
needs_commands() {
    local missing=()
    while [ $# -gt 0 ]; do
        command -v "$1" >/dev/null || missing+=("$2")
        shift 2
    done
    [ ${#missing[@]} -eq 0 ] || fail "missing programs; install them with: apt-get install ${missing[*]}"
}
