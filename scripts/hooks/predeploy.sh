#!/usr/bin/env bash
# Before azd deploy: has the registry build the image that the runner's code is put on, where it is not there yet.
#
#     scripts/hooks/predeploy.sh         azd runs it; safe to repeat, and to cut off: the build goes on and is found again
#
# It compiles CUDA kernels, which takes longer than the 20 minutes that azd gives a service; a hook has no such limit. Sets
# RUNNER_KERNELS_IMAGE, which azure.yaml gives to the build of the runner, and RUNNER_KERNELS_RUN, the build in the registry.
#
# RUNNER_CUDA                13; 12: for drivers older than 580 (azd env set RUNNER_CUDA 12)
# RUNNER_CUDA_ARCHITECTURES  as TORCH_CUDA_ARCH_LIST in Dockerfile.runner
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"
no_arguments "$0" "$@"
. "$here/../lib-images.sh"

need_commands az azd
load_values
need_all AZURE_SUBSCRIPTION_ID AZURE_CONTAINER_REGISTRY_NAME AZURE_CONTAINER_REGISTRY_ENDPOINT
registry=$(need AZURE_CONTAINER_REGISTRY_NAME)
endpoint=$(need AZURE_CONTAINER_REGISTRY_ENDPOINT)
image=$(ensure_kernels "$registry" "$endpoint") || exit
[[ $image == "$(value RUNNER_KERNELS_IMAGE)" ]] || call azd env set RUNNER_KERNELS_IMAGE "$image" >/dev/null
say "The runner is built on $image next: a few minutes."
