#!/usr/bin/env bash
# Installs the CUDA compiler of the builder stage where no Python package brings it.
#
#     runner/image/nvcc.sh CUDA
#
# CUDA 13: nothing, nvcc is in build-cuda13.lock. CUDA 12: PyPI's nvidia-cuda-nvcc-cu12 holds ptxas alone (NVIDIA/cuda-python#2100), so
# nvcc comes from NVIDIA's package source for Debian 12, of the version that torch in gpu-cuda12.lock was built with.
set -euo pipefail
[[ ${1:?} == 12 ]] || exit 0
keyring=https://developer.download.nvidia.com/compute/cuda/repos/debian12/x86_64/cuda-keyring_1.1-1_all.deb
python -c 'import sys, urllib.request; urllib.request.urlretrieve(sys.argv[1], "/tmp/keyring.deb")' "$keyring"
dpkg --install /tmp/keyring.deb
apt-get update
apt-get install --yes --no-install-recommends cuda-nvcc-12-8
rm -rf /var/lib/apt/lists/* /tmp/keyring.deb
