#!/usr/bin/env bash
# `make test-trixie`: the tests in a Debian 13 root, with the versions Debian 13 carries (Python 3.13, trio 0.29, dnspython 2.7): the floors.
# Needs root and mmdebstrap. The root is made in half a minute, used, and removed.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "make test-trixie needs root: try sudo"; exit 2; }
command -v mmdebstrap >/dev/null || { echo "mmdebstrap is missing: apt install mmdebstrap"; exit 2; }

root=$(mktemp -d /var/tmp/pillarbox-trixie.XXXXXX)
trap 'umount -l "$root/proc" "$root/dev/shm" "$root/dev/pts" 2>/dev/null || true; rm -rf --one-file-system "$root"' EXIT
packages=python3,python3-venv,python3-pip,python3-trio,python3-argon2,python3-cryptography,python3-pytest,python3-hypothesis,python3-click,python3-dnspython,python3-serial,strace,make,ca-certificates,openssl,procps
mirror=$(grep -rhE '^(deb|URIs)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | grep -oE 'https?://[^ ]*/debian(/|$)' | head -1 || true)
mmdebstrap --quiet --variant=minbase --include="$packages" \
    --aptopt='Acquire::Languages "none"' trixie "$root" "${mirror:-http://deb.debian.org/debian}"

mkdir -p "$root/work/main" "$root/work/shared"
tar --exclude=.venv --exclude=.git --exclude='__pycache__' -cf - . | tar -xf - -C "$root/work/main"
[ -d ../shared ] && cp -r ../shared/corpus "$root/work/shared/"
cp /etc/resolv.conf "$root/etc/resolv.conf"
cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
mount -t proc proc "$root/proc"
mkdir -p "$root/dev/shm" "$root/dev/pts" && mount -t tmpfs tmpfs "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts" && ln -sf pts/ptmx "$root/dev/ptmx"

env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 $(env | grep -E '^(https?_proxy|no_proxy|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|PIP_CERT)=' || true) \
    chroot "$root" /bin/sh -ec '
    cd /work/main
    python3 -m venv --system-site-packages .venv
    .venv/bin/pip -q install "sqlite-utils>=4" "gpiozero>=2.0.1.post3" "pytest-trio>=0.8" imapclient aiosmtplib hatchling editables
    .venv/bin/pip -q install --no-deps --no-build-isolation -e .
    .venv/bin/python -c "import sys, trio, sqlite3; print(\"Python\", sys.version.split()[0], \"trio\", trio.__version__, \"SQLite\", sqlite3.sqlite_version)"
    .venv/bin/python -m pytest '"${*:-}"
