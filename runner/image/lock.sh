#!/usr/bin/env bash
# Writes the locked requirements of the images from runner/requirements.txt, with the hash of every file that may be installed.
#
#     runner/image/lock.sh
#
# Needs uv. Of torch: gpu-cuda13.lock takes PyPI's build (CUDA 13; driver 580 or newer), gpu-cuda12.lock the newest that PyPI has
# for CUDA 12 (12.8; driver 525 or newer), cpu.lock the one without CUDA, from the index TORCH_CPU_INDEX or a folder with that
# wheel. gsplat is not in the GPU's locks: its kernels come from kernels.lock.
set -euo pipefail
cd "$(dirname "$0")"
: "${TORCH_CPU_INDEX:=https://download.pytorch.org/whl/cpu}"
torch_cuda12=2.10.0
torch=$(sed -n 's/^torch==//p' ../requirements.txt)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

lock() {
  uv pip compile --quiet --generate-hashes --python-version 3.11 --python-platform x86_64-manylinux_2_28 \
    --no-header --no-annotate --only-binary :all: "$@"
}

without_gsplat() { awk '/^gsplat==/ {skip = 1; next} /^[^ ]/ {skip = 0} !skip' "$1"; }

sed "s/^torch==.*/torch==$torch_cuda12/" ../requirements.txt >"$work/gpu-cuda12.in"
cp ../requirements.txt "$work/gpu-cuda13.in"
for cuda in 13 12; do
  cp gpu-cuda$cuda.lock "$work/gpu.lock"  # what is locked already keeps its version
  lock "$work/gpu-cuda$cuda.in" -o "$work/gpu.lock"
  without_gsplat "$work/gpu.lock" >gpu-cuda$cuda.lock
  lock build-cuda$cuda.in -c gpu-cuda$cuda.lock -o build-cuda$cuda.lock
done
sed "s/^torch==.*/torch==$torch+cpu/" ../requirements.txt >"$work/cpu.in"
if [[ -d $TORCH_CPU_INDEX ]]; then
  lock "$work/cpu.in" --find-links "$TORCH_CPU_INDEX" -o cpu.lock
else
  lock "$work/cpu.in" --extra-index-url "$TORCH_CPU_INDEX" --index-strategy unsafe-best-match -o cpu.lock
fi
