#!/usr/bin/env bash
# The tag of the image that the runner's code is put on: a hash of all that it is made of, so that it is built once.
#
#     runner/image/kernels_tag.sh        prints cuda13-0123456789abcdef
#
# CUDA, TORCH_CUDA_ARCH_LIST: as given to the build; default: as Dockerfile.runner has them
#
# Hashed: Dockerfile.runner up to the last stage (the base image's digest is in it) without its comments, the locks (gsplat's and
# torch's versions are in them), the scripts of the build, and both variables. Our own code is not.
set -euo pipefail
root=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd -P)
image=$root/runner/image

default() { sed -n "s/^ARG $1=\"\{0,1\}\([^\"]*\)\"\{0,1\}$/\1/p" "$root/Dockerfile.runner" | head -1; }
cuda=${CUDA:-$(default CUDA)}
architectures=${TORCH_CUDA_ARCH_LIST:-$(default TORCH_CUDA_ARCH_LIST)}
[[ -f $image/gpu-cuda$cuda.lock ]] || { echo "kernels_tag.sh: CUDA=$cuda: there is no lock for it; 12 or 13" >&2; exit 2; }

sha256() { if command -v sha256sum >/dev/null 2>&1; then sha256sum; else shasum -a 256; fi; }  # macOS has the second

hash=$({
  printf '%s\n' "CUDA=$cuda" "TORCH_CUDA_ARCH_LIST=$architectures"
  sed '/^FROM kernels AS gpu/,$d' "$root/Dockerfile.runner" | grep -v '^ *#' | grep -v '^ *$'
  cat "$image/gpu-cuda$cuda.lock" "$image/build-cuda$cuda.lock" "$image/kernels.lock" "$image/nvcc.sh" "$image/build_kernels.sh"
} | sha256 | cut -c1-16)
printf 'cuda%s-%s\n' "$cuda" "$hash"
