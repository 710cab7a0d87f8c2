#!/usr/bin/env bash
# `make test-gpio`: LEDs and button on a GPIO chip that a real kernel simulates, under the real lgpio, in a virtual machine.
# Needs root, mmdebstrap, qemu-system-x86 and cpio. Kernel and Python (3.11: lgpio has no wheel for 3.13) come from Debian, lgpio
# from PyPI, all else as locked. Debian's kernels have gpio-sim only in trixie-backports. It takes some two minutes.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "make test-gpio needs root: try sudo"; exit 2; }
for program in mmdebstrap qemu-system-x86_64 cpio; do
    command -v "$program" >/dev/null || { echo "$program is missing: apt install mmdebstrap qemu-system-x86 cpio"; exit 2; }
done

room=$(mktemp -d /var/tmp/pillarbox-gpio.XXXXXX)
trap 'rm -rf --one-file-system "$room"' EXIT
root=$room/root
mirror=$(grep -rhE '^(deb|URIs)' /etc/apt/sources.list /etc/apt/sources.list.d 2>/dev/null | grep -oE 'https?://[^ ]*/debian(/|$)' | head -1 || true)
mirror=${mirror:-http://deb.debian.org/debian}
mmdebstrap --quiet --architectures=amd64 --variant=extract --include=linux-image-amd64/trixie-backports,dash,mount,kmod,python3 \
    bookworm "$root" "deb $mirror bookworm main" "deb $mirror trixie-backports main"
mkdir "$root/proc" "$root/sys" "$root/run" "$root/pillarbox"
ln -s ../usr/lib/modules "$root/lib/modules"
cp -r appliance tests pyproject.toml "$root/pillarbox"
sed -nE 's/^([a-z0-9-]+==[^ ]+).*/\1/p' requirements-test.lock > "$room/locked"
.venv/bin/pip -q install --target "$root/python" --python-version 3.11 --platform manylinux_2_34_x86_64 --only-binary=:all: \
    -c "$room/locked" lgpio gpiozero trio pytest pytest-trio

cat > "$root/init" <<'INIT'
#!/bin/sh
# The only process there is: when it ends the machine does, and the second serial port has its status.
trap 'printf %s $? > /dev/ttyS1; echo b > /proc/sysrq-trigger' EXIT
set -e
mount -t proc proc /proc
mount -t sysfs sysfs /sys
mount -t devtmpfs devtmpfs /dev
depmod
modprobe gpio-sim
mount -t configfs configfs /sys/kernel/config
cd /pillarbox
export PATH=/usr/bin PYTHONPATH=/python PY_COLORS=0
python3 -c 'import lgpio; from importlib.metadata import version as v; from platform import release, python_version
print("Linux", release(), "Python", python_version(), "gpiozero", v("gpiozero"), "lgpio", v("lgpio"))'
python3 -m pytest -p no:cacheprovider tests/panel/test_gpio_sim.py
INIT
chmod +x "$root/init"
(cd "$root" && find . ! -name vmlinuz \( ! -name '*.ko*' -o -path '*/gpio/*' -o -path '*/configfs/*' \) -print0 |
    cpio --quiet -0 -o -H newc > "$room/initrd")

timeout --foreground 480 qemu-system-x86_64 -accel tcg -cpu max -smp 2 -m 1G -nodefaults -display none -no-reboot \
    -serial stdio -serial "file:$room/status" -kernel "$root"/usr/lib/modules/*/vmlinuz -initrd "$room/initrd" \
    -append "console=ttyS0 quiet panic=-1" < /dev/null | sed -u 's/\r$//; /sysrq: Resetting/d' || true
[ -s "$room/status" ] || { echo "The virtual machine ended before the tests did."; exit 1; }
exit "$(cat "$room/status")"
