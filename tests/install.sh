#!/usr/bin/env bash
# `make install-test`: `pillarbox install` from a wheel in Debian 12 and 13 under their own systemd, in containers (systemd-nspawn).
# Needs root, mmdebstrap and systemd-container. The roots are made once (a minute each) and kept in ~/.cache/pillarbox-roots;
# each run works on a throw-away copy of them (an overlay). The steps and their times are printed by tests/install.py.
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
mkdir -p "$cache"

packages=systemd,systemd-sysv,dbus,python3,python3-venv,ca-certificates,iproute2,curl,openssl,procps
lock=$(sha256sum requirements.lock | cut -c1-12)
wheel_dir=$work/wheels
mkdir -p "$wheel_dir"
.venv/bin/python -m pip -q --disable-pip-version-check wheel --no-deps --no-build-isolation -w "$wheel_dir" .

for suite in ${SUITES:-bookworm trixie}; do
    if [ ! -e "$cache/$suite.$lock.ready" ]; then
        echo "Making a $suite root in $cache (once)"
        rm -rf --one-file-system "${cache:?}/$suite"
        mmdebstrap --quiet --variant=minbase --include="$packages" --aptopt='Acquire::Languages "none"' "$suite" "$cache/$suite" "${mirror:-http://deb.debian.org/debian}"
        mkdir -p "$cache/$suite/etc/ssl/certs" && cp /etc/ssl/certs/ca-certificates.crt "$cache/$suite/etc/ssl/certs/"
        # The libraries of the lock file, so that the containers need no network.
        cp requirements.lock "$cache/$suite/root/"
        cp /etc/resolv.conf "$cache/$suite/etc/resolv.conf"
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "${registry_env[@]}" chroot "$cache/$suite" /bin/sh -ec '
            python3 -m venv /opt/pillarbox
            /opt/pillarbox/bin/pip -q --disable-pip-version-check install --no-deps --require-hashes -r /root/requirements.lock'
        rm -f "$cache/$suite".*.ready
        touch "$cache/$suite.$lock.ready"
    fi
    mkdir -p "$work/$suite"/{upper,work,root}
    mount -t overlay -o "lowerdir=$cache/$suite,upperdir=$work/$suite/upper,workdir=$work/$suite/work" overlay "$work/$suite/root"
    cp "$wheel_dir"/pillarbox-*.whl "$work/$suite/root/root/"
    .venv/bin/python -m tests.install "$suite" "$work/$suite/root"
    umount "$work/$suite/root"
done
