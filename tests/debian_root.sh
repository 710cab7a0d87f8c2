# Sourced by tests/trixie.sh and tests/bare.sh: a Debian root in a temporary directory, removed when the script ends.
# Needs root and mmdebstrap. Sets $root.

# The mirror this machine is set up with, and what its package clients need to reach their registries.
mirror=$(grep -rhE '^(deb|URIs)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | grep -oE 'https?://[^ ]*/debian(/|$)' | head -1 || true)
mapfile -t registry_env < <(env | grep -E '^(https?_proxy|no_proxy|SSL_CERT_FILE|REQUESTS_CA_BUNDLE|PIP_CERT)=' || true)

require_root() {   # require_root TARGET: exit status 2 with the remedy
    [ "$(id -u)" = 0 ] || { echo "make $1 needs root: try sudo"; exit 2; }
    command -v mmdebstrap >/dev/null || { echo "mmdebstrap is missing: apt install mmdebstrap"; exit 2; }
}

remove_root() {
    umount -l "$root/proc" "$root/sys" "$root/dev/shm" "$root/dev/pts" 2>/dev/null || true
    rm -rf --one-file-system "$root"
}

make_root() {   # make_root SUITE PACKAGE,PACKAGE...
    root=$(mktemp -d "/var/tmp/pillarbox-$1.XXXXXX")
    trap remove_root EXIT
    mmdebstrap --quiet --variant=minbase --include="$2" --aptopt='Acquire::Languages "none"' "$1" "$root" "${mirror:-http://deb.debian.org/debian}"
    chmod 755 "$root"
    cp /etc/resolv.conf "$root/etc/resolv.conf"
    [ -e "$root/etc/hosts" ] || echo "127.0.0.1 localhost" > "$root/etc/hosts"   # the installer writes it
    mkdir -p "$root/etc/ssl/certs" && cp /etc/ssl/certs/ca-certificates.crt "$root/etc/ssl/certs/"
    mount -t proc proc "$root/proc"
    mount -t sysfs -o ro sysfs "$root/sys"
    mkdir -p "$root/dev/shm" "$root/dev/pts" && mount -t tmpfs -o mode=1777 tmpfs "$root/dev/shm"
    mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts" && ln -sf pts/ptmx "$root/dev/ptmx"
}
