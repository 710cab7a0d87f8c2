#!/usr/bin/env bash
# `make test-bare SUITE=bookworm|trixie RUN_AS=user|root`: `make test` in a fresh clone, in a Debian root that has nothing but
# python3, python3-venv, make and git. It tests what is committed. Words after the script's name go to pytest.
# Needs root and mmdebstrap. The root is made in half a minute, used, and removed.
set -euo pipefail
cd "$(dirname "$0")/.."
. tests/debian_root.sh
suite=${SUITE:-bookworm} as=${RUN_AS:-user}
case $suite in bookworm | trixie) ;; *) echo "SUITE is bookworm or trixie, not $suite"; exit 2 ;; esac
case $as in user) id=1000 home=/home/tester ;; root) id=0 home=/root ;; *) echo "RUN_AS is user or root, not $as"; exit 2 ;; esac
require_root test-bare
make_root "$suite" python3,python3-venv,make,git
[ "$as" = root ] || chroot "$root" useradd --uid "$id" --create-home --home-dir "$home" tester

git clone -q --no-hardlinks . "$root$home/pillarbox"
chown -R "$id:$id" "$root$home/pillarbox"

inside() {   # inside COMMAND [NAME=VALUE...]: as the user, with no environment but what is named
    local command=$1
    shift
    env -i PATH=/usr/local/bin:/usr/bin:/bin HOME="$home" "$@" \
        "$(command -v chroot)" --userspec="$id:$id" --groups="$id" "$root" /bin/sh -ec "umask 022; cd $home/pillarbox; $command"
}
inside "make -s setup .venv/.tests-ready" "${registry_env[@]}"
echo "$suite as $as: $(inside '.venv/bin/python -c "import sys, sqlite3; print(\"Python\", sys.version.split()[0], \"SQLite\", sqlite3.sqlite_version)"')"
inside "make test" PYTEST_ADDOPTS="$*"
