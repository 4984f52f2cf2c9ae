#!/usr/bin/env bash
# One command for a machine with an NVIDIA GPU: builds gsplat's kernels, runs the GPU tests, trains the presets and
# gsplat's own trainer on the same scenes, measures the parts before and now, and writes benchmarks/results/gpu.md.
#
#     SCENE_FOOTAGE=/path/to/footage benchmarks/gpu.sh [WORK_DIR]
#     benchmarks/gpu.sh --dry-run [WORK_DIR]      # without a GPU: tells every command (python -m benchmarks.gpu --toy
#                                                 # runs what they measure, tiny)
#
# Needs: an NVIDIA driver, nvcc of the CUDA version that torch was built for, Python 3.11 or 3.12, about 30 GB of disk.
# Without SCENE_FOOTAGE only the generated scene is measured. What is there already is kept, so it can be repeated.
set -euo pipefail
cd "$(dirname "$0")/.."

dry=
if [[ ${1:-} == --dry-run ]]; then
  dry=yes
  shift
fi
work=${1:-.local/gpu}
venv=$work/venv
python=$venv/bin/python
export OMP_WAIT_POLICY=PASSIVE

die() {
  echo "gpu.sh: $*" >&2
  exit 1
}

run() {
  if [[ -n $dry ]]; then
    echo "would run: $*"
  else
    "$@"
  fi
}

if [[ -z $dry ]]; then
  command -v nvidia-smi >/dev/null || die "no nvidia-smi: this needs a machine with an NVIDIA GPU and its driver"
  command -v nvcc >/dev/null || die "no nvcc: install the CUDA toolkit (or use an image named -devel)"
  nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv

  # Kernels for the GPUs of this machine and no others: every architecture costs minutes.
  TORCH_CUDA_ARCH_LIST=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | sort -u | paste -sd ';')
  export TORCH_CUDA_ARCH_LIST
fi
export MAX_JOBS=${MAX_JOBS:-4}  # compilers at once; each takes up to 1 GB

if [[ ! -x $python ]]; then
  run "${PYTHON:-python3}" -m venv "$venv"
fi
# TORCH_INDEX_URL: another build of torch, for older drivers (PyPI's needs CUDA 13, driver 580 or newer).
run "$python" -m pip install --quiet torch==2.13.0 ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"}
if [[ -z $dry ]]; then
  torch_cuda=$("$python" -c 'import torch; print((torch.version.cuda or "none").split(".")[0])')
  nvcc_cuda=$(nvcc --version | sed -n 's/.*release \([0-9]*\).*/\1/p')
  [[ $torch_cuda == "$nvcc_cuda" ]] || die "torch is built for CUDA $torch_cuda, nvcc is $nvcc_cuda; set TORCH_INDEX_URL"
fi
run "$python" -m pip install --quiet --require-hashes --only-binary :all: -r requirements.txt
run "$python" -m pip install --quiet -r runner/requirements.txt -r local/requirements.txt -r tests/requirements.txt \
  setuptools wheel ninja
if [[ -n $dry ]] || ! "$python" -c 'from gsplat import csrc' 2>/dev/null; then
  run "$python" -m pip install --no-build-isolation --no-deps --force-reinstall --no-binary gsplat \
    "$(grep -i '^gsplat==' runner/requirements.txt)"
fi
run "$python" -c 'import torch; from gsplat import csrc; assert torch.cuda.is_available(), "torch sees no CUDA device"'

# Every one of them has to run: a skipped GPU test on this machine is a failure.
report=$work/gpu-tests.txt
if [[ -z $dry ]]; then
  "$python" -m pytest -rs tests/gpu | tee "$report"
  if grep -q '^SKIPPED' "$report"; then
    die "GPU tests were skipped, see $report"
  fi
else
  run "$python" -m pytest -rs tests/gpu
fi

names=(courtyard)
if [[ -n ${SCENE_FOOTAGE:-} ]]; then
  names+=(fox walk)
fi
for preset in draft standard high; do
  run "$python" -m benchmarks.scenes --preset "$preset" "$work/scenes/$preset" "${names[@]}"
done
run "$python" -m benchmarks.gpu "$work/scenes"
