#!/usr/bin/env bash
# Compiles gsplat's CUDA kernels ahead of time, without a GPU, into one wheel. The image's builder stage runs it, and so
# does `make image-kernels` on any machine with g++ and this environment.
#
#     runner/image/build_kernels.sh PYTHON WHEEL_DIR
#
# PYTHON: of an environment with gpu-cuda13.lock and build-cuda13.lock installed. It brings nvcc and CUDA's headers and
# libraries as wheels, so that no CUDA base image of five gigabytes is needed. Of CUDA 12 (the other two locks) the wheels have
# all but nvcc, which is in CUDA_TOOLKIT (/usr/local/cuda-12.8).
#
# TORCH_CUDA_ARCH_LIST: 7.5 is the T4, 8.0 the A100 (and, binary compatible within its generation, A10, L4, RTX 30 and 40),
# 9.0 the H100 of virtual machines and AKS; +PTX is what newer GPUs translate at their first start.
# MAX_JOBS: compilers at once, 1 GB of memory each.
set -euo pipefail

if [[ $# -ne 2 ]]; then
  echo "usage: build_kernels.sh PYTHON WHEEL_DIR" >&2
  exit 2
fi
python=$1
wheels=$2
here=$(cd "$(dirname "$0")" && pwd)
export TORCH_CUDA_ARCH_LIST=${TORCH_CUDA_ARCH_LIST:-"7.5;8.0;9.0+PTX"}
export MAX_JOBS=${MAX_JOBS:-2}

packages=$("$python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
toolkit=$packages/nvidia/cu13
[[ -d $toolkit ]] || toolkit=${CUDA_TOOLKIT:-/usr/local/cuda-12.8}  # nvcc.sh put it there
[[ -x $toolkit/bin/nvcc ]] || { echo "build_kernels.sh: no nvcc in $toolkit; install build-cuda13.lock first" >&2; exit 1; }

home=$(mktemp -d)
trap 'rm -rf "$home"' EXIT
mkdir "$home/lib64"
ln -s "$toolkit/bin" "$toolkit/nvvm" "$home"
if [[ $toolkit == "$packages"/* ]]; then
  ln -s "$toolkit/include" "$toolkit/lib" "$home"
else # of CUDA 12 each library's wheel has a folder of its own
  mkdir "$home/include"
  for folder in "$packages"/nvidia/*/include "$toolkit/include"; do
    cp --recursive --symbolic-link --no-clobber "$folder/." "$home/include/"
  done
fi
# The wheels name the libraries as the loader wants them; the linker wants lib64/libcudart.so.
for library in "$packages"/nvidia/*/lib/lib*.so.*; do
  name=$(basename "$library")
  ln -sf "$library" "$home/lib64/${name%%.so.*}.so"
  ln -sf "$library" "$home/lib64/$name"
done
export CUDA_HOME=$home
# ninja, too, is in the environment's folder: without it torch compiles one file after the other, whatever MAX_JOBS says.
tools=$(cd "$(dirname "$python")" && pwd)
export PATH=$home/bin:$tools:$PATH
nvcc --version | tail -2

"$python" -m pip wheel --verbose --no-build-isolation --no-deps --require-hashes --no-binary gsplat \
  --wheel-dir "$wheels" -r "$here/kernels.lock"
