#!/usr/bin/env bash
# Gives the job, and the fallback job, the image it had before, by digest. Executions that run keep theirs; records and messages are read by both.
#
#     scripts/rollback.sh                  the newest image in the registry that is older than the job's
#     scripts/rollback.sh --to TAG|DIGEST  that one
#     scripts/rollback.sh --list           which there are, newest first; changes nothing
#
# Again: one further back. To the newest: scripts/deploy-job.sh --skip-build. The function app is deployed from a checkout
# (git checkout COMMIT, azd deploy dispatcher); it works with the image before and the one after.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/lib.sh"
. "$here/lib-images.sh"

wanted='' only_list=false
while [[ $# -gt 0 ]]; do
  case $1 in
    --to) need_value "$1" $#; wanted=$2; shift ;;
    --list) only_list=true ;;
    *) no_arguments "$0" "$1" ;;
  esac
  shift
done
form='^(sha256:[0-9a-f]{64}|[A-Za-z0-9_][A-Za-z0-9._-]{0,127})$' # bash 3.2 reads no bracket in a condition
[[ -z $wanted || $wanted =~ $form ]] ||
  die $REFUSED "--to $wanted is neither a tag nor a digest"

need_commands az
load_values
need_all AZURE_SUBSCRIPTION_ID AZURE_RESOURCE_GROUP RUNNER_JOB_NAME AZURE_CONTAINER_REGISTRY_NAME
group=$(need AZURE_RESOURCE_GROUP)
job=$(need RUNNER_JOB_NAME)
registry=$(need AZURE_CONTAINER_REGISTRY_NAME)

current=$(az_tsv containerapp job show --resource-group "$group" --name "$job" --query 'properties.template.containers[0].image')
endpoint=${current%%/*} name=${current#*/} # of HOST/REPOSITORY@DIGEST, or HOST/REPOSITORY:TAG as azd writes it
[[ $endpoint == "$registry".* ]] || die $FAILED "$job runs $current, which is not of $registry: nothing was changed"
case $name in
  *@sha256:*) repository=${name%@*} now=${name#*@} ;;
  *) repository=${name%:*}
    now=$(az_tsv acr repository show --name "$registry" --image "$name" --query digest) ;;
esac

# newest first: digest and tag, a line each; an image with several tags comes once a tag
images=$(az_tsv acr repository show-tags --name "$registry" --repository "$repository" --orderby time_desc --detail \
  --query '[].[digest, name]')
[[ -n $images ]] || die $FAILED "there is no image $repository in $registry"

if $only_list; then
  while IFS=$'\t' read -r digest tag; do
    mark=' '
    [[ $digest != "$now" ]] || mark='*'
    say "$mark $tag $digest"
  done <<<"$images"
  exit 0
fi

before='' passed=false
while IFS=$'\t' read -r digest tag; do
  if [[ -n $wanted ]]; then
    [[ $wanted != "$tag" && $wanted != "$digest" ]] || { before=$digest what=$tag; break; }
  elif [[ $digest == "$now" ]]; then
    passed=true
  elif $passed; then
    before=$digest what=$tag
    break
  fi
done <<<"$images"
if [[ -z $before ]]; then
  [[ -z $wanted ]] || die $FAILED "$repository in $registry has no image $wanted; which there are: $SCRIPT --list"
  $passed || die $FAILED "the job's image $now has no tag in $registry any more: choose one with --to; $SCRIPT --list shows them"
  die $FAILED "no image in $registry is older than the job's: nothing was changed"
fi
[[ $before != "$now" ]] || { say "$job runs $repository:$what ($before) already."; exit 0; }

give_image "$group" "$job" "$endpoint/$repository@$before"
if command -v azd >/dev/null 2>&1 && [[ -n $AZD_VALUES ]]; then
  call azd env set SERVICE_RUNNER_IMAGE_NAME "$endpoint/$repository@$before" # else azd provision would bring the other one back
fi
say "$job runs $repository:$what ($before) from its next execution on; before it was $now."
