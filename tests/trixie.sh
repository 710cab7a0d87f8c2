#!/usr/bin/env bash
# `make test-trixie`: the tests in a Debian 13 root, with the versions Debian 13 carries (Python 3.13, trio 0.29, dnspython 2.7): the floors.
# Needs root and mmdebstrap. The root is made in half a minute, used, and removed.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/debian_root.sh
require_root test-trixie
make_root trixie python3,python3-venv,python3-pip,python3-trio,python3-argon2,python3-cryptography,python3-pytest,python3-hypothesis,python3-click,python3-dnspython,python3-serial,strace,make,ca-certificates,openssl,procps

mkdir -p "$root/opt/pillarbox" "$root/opt/shared"
tar --exclude=.venv --exclude=.git --exclude='__pycache__' -cf - . | tar -xf - -C "$root/opt/pillarbox"
[ -d ../shared ] && cp -r ../shared/corpus "$root/opt/shared/"

env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LANG=C.UTF-8 "${registry_env[@]}" \
    chroot "$root" /bin/sh -ec '
    cd /opt/pillarbox
    python3 -m venv --system-site-packages .venv
    .venv/bin/pip -q install "sqlite-utils>=4" "gpiozero>=2.0.1.post3" "pytest-trio>=0.8" imapclient aiosmtplib hatchling editables polib
    .venv/bin/pip -q install --no-deps --no-build-isolation -e .
    .venv/bin/python -c "import sys, trio, sqlite3; print(\"Python\", sys.version.split()[0], \"trio\", trio.__version__, \"SQLite\", sqlite3.sqlite_version)"
    .venv/bin/python -m pytest '"${*:-}"
