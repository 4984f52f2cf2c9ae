#!/usr/bin/env bash
# Writes the locked requirements of the images from runner/requirements.txt, with the hash of every file that may be installed.
#
#     runner/image/lock.sh
#
# Needs uv. Of torch: gpu.lock takes PyPI's build (CUDA 13; driver 580 or newer), cpu.lock the one without CUDA, from the
# index TORCH_CPU_INDEX or a folder with that wheel. gsplat is not in gpu.lock: its kernels come from kernels.lock.
set -euo pipefail
cd "$(dirname "$0")"
: "${TORCH_CPU_INDEX:=https://download.pytorch.org/whl/cpu}"
torch=$(sed -n 's/^torch==//p' ../requirements.txt)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

lock() {
  uv pip compile --quiet --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
    --no-header --no-annotate --only-binary :all: "$@"
}

without_gsplat() { awk '/^gsplat==/ {skip = 1; next} /^[^ ]/ {skip = 0} !skip' "$1"; }

cp gpu.lock "$work/gpu.lock"  # what is locked already keeps its version
lock ../requirements.txt -o "$work/gpu.lock"
without_gsplat "$work/gpu.lock" >gpu.lock
sed "s/^torch==.*/torch==$torch+cpu/" ../requirements.txt >"$work/cpu.in"
if [[ -d $TORCH_CPU_INDEX ]]; then
  lock "$work/cpu.in" --find-links "$TORCH_CPU_INDEX" -o cpu.lock
else
  lock "$work/cpu.in" --extra-index-url "$TORCH_CPU_INDEX" --index-strategy unsafe-best-match -o cpu.lock
fi
lock build.in -c gpu.lock -o build.lock
