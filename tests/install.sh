#!/usr/bin/env bash
# `make install-test`: `pillarbox install` from a wheel in Debian 12 and 13, and the box's own root file system, each under its own
# systemd in a container (systemd-nspawn). Needs root, mmdebstrap and systemd-container. The Debian roots are made once (a minute or
# two each) and kept in ~/.cache/pillarbox-roots; a run works on a copy that is thrown away. tests/install.py and tests/box.py print
# the steps and their times. SUITES="bookworm trixie box" chooses.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/debian_root.sh
require_root install-test
command -v systemd-nspawn >/dev/null || { echo "systemd-nspawn is missing: apt install systemd-container"; exit 2; }

cache=${PILLARBOX_ROOTS:-$HOME/.cache/pillarbox-roots}
work=$(mktemp -d /var/tmp/pillarbox-install.XXXXXX)
cleanup() {
    for place in "$work"/*/root; do umount -l "$place" 2>/dev/null || true; done
    rm -rf --one-file-system "$work"
}
trap cleanup EXIT
mkdir -p "$cache" "$work/wheels"
.venv/bin/python -m pip -q --disable-pip-version-check wheel --no-deps --no-build-isolation -w "$work/wheels" .

common=systemd,systemd-sysv,dbus,python3,python3-venv,ca-certificates,iproute2,curl,openssl,procps
own=$(sed -n 's/^-\{0,1\}\([a-z0-9][a-z0-9+.-]*\).*/\1/p' firmware-config/packages.txt | paste -sd,)

make_cached_root() {   # make_cached_root NAME SUITE PACKAGES: with the libraries of the lock file, so that containers need no network
    local key root="$cache/$1"
    key=$(cat requirements.lock <(echo "$3") | sha256sum | cut -c1-12)
    [ -e "$root.$key.ready" ] && return
    echo "Making the root $1 in $cache (once)"
    rm -rf --one-file-system "$root" "$root".*.ready
    mmdebstrap --quiet --variant=minbase --include="$3" --aptopt='Acquire::Languages "none"' "$2" "$root" "${mirror:-http://deb.debian.org/debian}"
    mkdir -p "$root/etc/ssl/certs" && cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    cp requirements.lock "$root/root/" && cp /etc/resolv.conf "$root/etc/resolv.conf"
    env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "${registry_env[@]}" chroot "$root" /bin/sh -ec '
        python3 -m venv /opt/pillarbox
        /opt/pillarbox/bin/pip -q --disable-pip-version-check install --no-deps --require-hashes -r /root/requirements.lock'
    touch "$root.$key.ready"
}

for name in ${SUITES:-bookworm trixie box}; do
    case $name in
    box) make_cached_root box trixie "$common,udev,kmod,$own" ;;
    *) make_cached_root "$name" "$name" "$common" ;;
    esac
    mkdir -p "$work/$name"/{upper,work,root}
    mount -t overlay -o "lowerdir=$cache/$name,upperdir=$work/$name/upper,workdir=$work/$name/work" overlay "$work/$name/root"
    cp "$work"/wheels/pillarbox-*.whl "$work/$name/root/root/"
    case $name in
    box) .venv/bin/python -m tests.box "$work/$name/root" ;;
    *) .venv/bin/python -m tests.install "$name" "$work/$name/root" ;;
    esac
    umount "$work/$name/root"
done
