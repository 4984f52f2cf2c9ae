#!/usr/bin/env bash
# Builds the runner's image in the registry (no local Docker) and gives it to the job. Settings and roles stay as they are.
#
#     scripts/deploy-job.sh [--skip-build] [--tag TAG]
#
# --skip-build  takes the newest image that is in the registry
# --tag TAG     default: commit and time
#
# The job gets the image by its digest, so that a tag that is moved later changes nothing; so does the fallback job.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/lib.sh"
. "$here/lib-images.sh"

build=true tag=
while [[ $# -gt 0 ]]; do
  case $1 in
    --skip-build) build=false ;;
    --tag) need_value "$1" $#; tag=$2; shift ;;
    *) no_arguments "$0" "$1" ;;
  esac
  shift
done
[[ -z $tag || $tag =~ ^[A-Za-z0-9_][A-Za-z0-9._-]{0,127}$ ]] || die $REFUSED "--tag $tag cannot be a tag"

need_commands az
load_values
need_all AZURE_SUBSCRIPTION_ID AZURE_RESOURCE_GROUP RUNNER_JOB_NAME AZURE_CONTAINER_REGISTRY_NAME
group=$(need AZURE_RESOURCE_GROUP)
job=$(need RUNNER_JOB_NAME)
registry=$(need AZURE_CONTAINER_REGISTRY_NAME)
endpoint=$(value AZURE_CONTAINER_REGISTRY_ENDPOINT)
endpoint=${endpoint:-$registry.azurecr.io}
repository=runner

if $build; then
  commit=$(git -C "$ROOT" rev-parse --short HEAD 2>/dev/null) || commit=nogit
  tag=${tag:-$commit-$(date -u +%Y%m%d%H%M%S)}
  kernels=$(ensure_kernels "$registry" "$endpoint") || exit
  say "Building $repository:$tag in $registry: a few minutes..."
  # The registry's own time limit and ours: a build that hangs must not hang this.
  CALL_TIMEOUT_S=${BUILD_TIMEOUT_S:-2400} az_quiet acr build --registry "$registry" --image "$repository:$tag" \
    --file "$ROOT/runner/image/Dockerfile.code" --build-arg "KERNELS=$kernels" --platform linux/amd64 --timeout 1800 "$ROOT"
fi
if [[ -z $tag ]]; then
  tag=$(az_tsv acr repository show-tags --name "$registry" --repository "$repository" --orderby time_desc --top 1)
  [[ -n $tag ]] || die $FAILED "there is no image $repository in $registry; build one without --skip-build"
fi
digest=$(az_tsv acr repository show --name "$registry" --image "$repository:$tag" --query digest)
[[ $digest == sha256:* ]] || die $BROKEN "the registry names no digest of $repository:$tag"
image=$endpoint/$repository@$digest

give_image "$group" "$job" "$image"
if command -v azd >/dev/null 2>&1 && [[ -n $AZD_VALUES ]]; then
  call azd env set SERVICE_RUNNER_IMAGE_NAME "$image"  # else the next azd provision would bring the old one back
fi
say "$job runs $repository:$tag ($digest) from its next execution on."
