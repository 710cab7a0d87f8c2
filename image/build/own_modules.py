"""Kernel modules of our own, image/kernel/*.c: what Debian's kernel is built without.

Each is one file, compiled against the kernel's own headers as its build system does it, which cannot run here: its programs are
arm64. It works because Debian's kernel has no symbol versions (checked); a module built against another release is refused by it.
"""

from pathlib import Path

from .host import BuildError
from .tools import Tools

FOLDER = "kernel/drivers/pillarbox"
DESCRIBE = """
#define INCLUDE_VERMAGIC
#include <linux/build-salt.h>
#include <linux/elfnote-lto.h>
#include <linux/export-internal.h>
#include <linux/module.h>
#include <linux/vermagic.h>
#include <linux/compiler.h>
BUILD_SALT;
BUILD_LTO_INFO;
MODULE_INFO(vermagic, VERMAGIC_STRING);
MODULE_INFO(name, KBUILD_MODNAME);
__visible struct module __this_module __section(".gnu.linkonce.this_module") = {
    .name = KBUILD_MODNAME,
    .init = init_module,
    .exit = cleanup_module,
    .arch = MODULE_ARCH_INIT,
};
"""
"""What modpost adds to every module."""
COMPILE = """
cd /build; mkdir -p own-modules
source=/build/kernel/usr/src/linux-headers-${1%-*}-common headers=/build/kernel/usr/src/linux-headers-$1
! grep -q '^CONFIG_MODVERSIONS=y' $headers/include/config/auto.conf
compile() {   # with the words of the kernel's own build that change what is compiled
    aarch64-linux-gnu-gcc -nostdinc -I $source/arch/arm64/include -I $headers/arch/arm64/include/generated -I $source/include \\
        -I $headers/include -I $source/arch/arm64/include/uapi -I $headers/arch/arm64/include/generated/uapi -I $source/include/uapi \\
        -I $headers/include/generated/uapi -include $source/include/linux/compiler-version.h \\
        -include $source/include/linux/kconfig.h -D__KERNEL__ -DMODULE -DCC_USING_PATCHABLE_FUNCTION_ENTRY \\
        -DKASAN_SHADOW_SCALE_SHIFT= "$@"
}
for file in /source/image/kernel/*.c; do
    name=$(basename $file .c) id=$(basename $file .c | tr - _)
    cat $file own-modules/describe.c > own-modules/$name.c
    compile -c -o own-modules/$name.o own-modules/$name.c -include $source/include/linux/compiler_types.h \\
        -DKBUILD_BASENAME="\\"$id\\"" -DKBUILD_MODNAME="\\"$id\\"" -DKBUILD_MODFILE="\\"$name\\"" -D__KBUILD_MODNAME=kmod_$id \\
        -std=gnu11 -fms-extensions -fshort-wchar -funsigned-char -fno-common -fno-PIE -fno-strict-aliasing -O2 -mlittle-endian \\
        -mgeneral-regs-only -mabi=lp64 -mbranch-protection=pac-ret -fno-asynchronous-unwind-tables -fno-unwind-tables \\
        -fno-stack-protector -fno-delete-null-pointer-checks -fno-allow-store-data-races -fstrict-flex-arrays=3 \\
        -ffile-prefix-map=/build=.
    aarch64-linux-gnu-ld -r -o $2/$name.ko --build-id=sha1 -T $headers/arch/arm64/module.lds own-modules/$name.o
    aarch64-linux-gnu-strip --strip-debug $2/$name.ko
done
"""


def compile_modules(tools: Tools, work: Path, release: str) -> None:
    """Every file of image/kernel into the modules of /build/root. Raises BuildError with the compiler's words."""
    place = work / "root/usr/lib/modules" / release / FOLDER
    place.mkdir(parents=True)
    (work / "own-modules").mkdir()
    (work / "own-modules/describe.c").write_text(DESCRIBE)
    tools.run("sh", "-ec", COMPILE, "sh", release, f"/build/{place.relative_to(work)}")
    if not list(place.glob("*.ko")):
        raise BuildError("No kernel module was built from image/kernel.")
