#!/usr/bin/env python3
# Part of Inkstone. Licence: see LICENSE.
"""Registers, spills and scratch memory of every kernel on AMD cards, without a card.

    radv_registers.py [--families navi21,navi31,gfx1201] [--bundle PATH] [--all]

Mesa's driver for AMD compiles shaders for a card that is not there (RADV_FORCE_FAMILY), and reports what
they need. Prints a table in Markdown for Docs/gpu.md, of registers of a thread and shared memory of a
workgroup: the products, convolutions and attention, or with --all every kernel. Ends with status 1 if one
spills registers or needs scratch memory. Needs the tests built in release (`make test`), and unpacks
Debian's packages of the driver in .build-radv: 57 MB.
"""

import argparse
import collections
import os
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent
FOLDER = ROOT / ".build-radv"
# Newer ones, such as 26.1, have no RADV_FORCE_FAMILY.
RELEASE = "trixie"
PACKAGES = ["mesa-vulkan-drivers", "libvulkan1", "libstdc++6", "libc6"]
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
NAMES = {"navi21": "RDNA2", "navi31": "RDNA3", "gfx1201": "RDNA4"}
# Statistics of RADV: registers of a thread, what fits neither these nor a subgroup's, and memory in bytes.
COLUMNS = ["VGPRs", "Spilled VGPRs", "Spilled SGPRs", "Scratch size", "LDS size"]


def mirror():
    """The Debian mirror that apt uses on this machine."""
    for path in sorted(pathlib.Path("/etc/apt").glob("sources.list*")):
        for file in [path] if path.is_file() else sorted(path.iterdir()):
            lines = [line for line in file.read_text().splitlines() if not line.lstrip().startswith("#")]
            found = re.search(r"https?://\S+/debian/?(?=\s|$)", "\n".join(lines))
            if found:
                return found[0]
    sys.exit("apt uses no Debian mirror here")


def prepare():
    """Unpacks the driver with the C library that it needs, once; installs nothing."""
    description = FOLDER / "radv.json"
    if description.exists():
        return description
    with tempfile.TemporaryDirectory() as state:
        state = pathlib.Path(state)
        for part in ["lists/partial", "cache/archives/partial", "etc/apt.conf.d", "etc/preferences.d", "var"]:
            (state / part).mkdir(parents=True)
        (state / "status").touch()
        (state / "sources").write_text(f"deb [signed-by={KEYRING}] {mirror()} {RELEASE} main\n")
        options = {
            "Dir::State": state / "var", "Dir::State::Lists": state / "lists", "Dir::State::Status": state / "status",
            "Dir::Cache": state / "cache", "Dir::Etc": state / "etc", "Dir::Etc::SourceList": state / "sources",
            "Dir::Etc::SourceParts": "/dev/null", "APT::Install-Recommends": "false", "APT::Sandbox::User": "root",
            "Debug::NoLocking": "1", "Acquire::Languages": "none",
        }
        apt = ["apt-get", "-qq"] + [word for name, value in options.items() for word in ("-o", f"{name}={value}")]
        subprocess.run([*apt, "update"], check=True)
        subprocess.run([*apt, "-y", "--download-only", "install", *PACKAGES], check=True)
        FOLDER.mkdir(exist_ok=True)
        for package in sorted((state / "cache/archives").glob("*.deb")):
            subprocess.run(["dpkg", "-x", str(package), str(FOLDER)], check=True)
    driver = next(FOLDER.rglob("libvulkan_radeon.so"))
    description.write_text(
        f'{{"file_format_version": "1.0.1", "ICD": {{"library_path": "{driver}", "api_version": "1.3.0"}}}}\n')
    return description


def compile_kernels(bundle, family, description):
    """The statistics of each kernel, by its shader and constants."""
    swift = pathlib.Path(subprocess.run(["which", "swift"], capture_output=True, text=True).stdout.strip())
    libraries = swift.resolve().parent.parent / "lib/swift/linux"
    system = "/usr/lib/x86_64-linux-gnu"
    environment = os.environ | {
        "VK_DRIVER_FILES": str(description), "VK_ICD_FILENAMES": str(description), "RADV_FORCE_FAMILY": family,
        "MESA_SHADER_CACHE_DISABLE": "true", "INKSTONE_KERNEL_STATISTICS": "1"}
    done = subprocess.run(
        [str(FOLDER / "usr/lib64/ld-linux-x86-64.so.2"), "--library-path", f"{FOLDER}{system}:{libraries}:{system}",
         str(bundle), "--testing-library", "swift-testing", "--filter", "KernelChoiceTests"],
        env=environment, capture_output=True, text=True)
    kernels = collections.defaultdict(dict)
    for line in done.stdout.splitlines():
        fields = line.split("\t")
        if fields[0] == "KERNEL":
            kernels[fields[1], fields[2]][fields[3]] = int(float(fields[4]))
    if done.returncode or not kernels:
        sys.exit(f"{family}: the kernels were not compiled:\n{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return kernels


def name_of(shader, constants):
    """A kernel with the sizes that its constants choose."""
    numbers = constants.split(",")
    if "attention_f16_matrix" in shader:
        return f"`{shader}`, heads of {numbers[4]}"
    if "matrix" in shader:
        return f"`{shader}`, {numbers[2]}x{numbers[3]}"
    if "attention" in shader:
        return f"`{shader}`, heads of {numbers[0]}"
    return f"`{shader}`" + (f" {constants}" if constants else "")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--families", default="navi21,navi31,gfx1201", help="names that RADV knows")
    parser.add_argument(
        "--bundle", type=pathlib.Path, default=ROOT / ".build-tests/release/inkstonePackageTests.xctest")
    parser.add_argument("--all", action="store_true", help="every kernel")
    arguments = parser.parse_args()
    description = prepare()
    families = arguments.families.split(",")
    results = {family: compile_kernels(arguments.bundle, family, description) for family in families}
    kernels = sorted({kernel for found in results.values() for kernel in found})
    print("| Kernel | " + " | ".join(f"{NAMES.get(family, family)} ({family})" for family in families) + " |")
    print("|---|" + "---|" * len(families))
    faults = []
    for kernel in kernels:
        cells = []
        for family in families:
            found = results[family].get(kernel)
            if found is None:
                cells.append("")
                continue
            registers, *spilled, scratch, shared = (found.get(name, 0) for name in COLUMNS)
            cells.append(f"{registers}, {shared / 1024:.0f} KiB")
            if any(spilled) or scratch:
                cells[-1] += f", **{sum(spilled)} spilled, scratch {scratch}**"
                faults.append((family, *kernel))
        if arguments.all or any(word in kernel[0] for word in ("product", "convolution", "attention")):
            print(f"| {name_of(*kernel)} | " + " | ".join(cells) + " |")
    counts = ", ".join(f"{len(results[family])} for {family}" for family in families)
    print(f"\nKernels compiled: {counts}; {len(faults)} spill registers or need scratch memory")
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
