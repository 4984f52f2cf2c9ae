#!/usr/bin/env bash
# Takes the deployment down: role assignments first, then what it made.
#
#     scripts/teardown.sh [--yes] [--keep-rbac]
#
# New resource group: azd down --purge --force. Existing resource group (EXISTING_RESOURCE_GROUP): only the resources that carry
# this environment's tag azd-env-name, one by one, never the group. --yes does not ask; --keep-rbac leaves the roles.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd -P)
. "$here/lib.sh"

yes=false rbac=true
while [[ $# -gt 0 ]]; do
  case $1 in
    --yes) yes=true ;;
    --keep-rbac) rbac=false ;;
    -h | --help) usage "$0"; exit 0 ;;
    *) die $REFUSED "unknown argument $1; see $SCRIPT --help" ;;
  esac
  shift
done

need_commands az azd
load_values
name=$(need AZURE_ENV_NAME)
group=$(value EXISTING_RESOURCE_GROUP)

if [[ -n $group ]]; then
  # Children first would be nicer, but what depends on what is not told; a second round takes what the first could not.
  resources=$(az_tsv resource list --resource-group "$group" --tag "azd-env-name=$name" --query '[].id')
  if [[ -z $resources ]]; then
    say "Nothing in $group carries the tag azd-env-name=$name."
    exit 0
  fi
  say "To be deleted from $group:" && say "$resources"
  for variable in EXISTING_ACR_NAME EXISTING_STORAGE_ACCOUNT_NAME EXISTING_CONTAINER_APPS_ENV_NAME EXISTING_LOG_ANALYTICS_NAME; do
    reused=$(value "$variable")
    if [[ -n $reused ]] && printf '%s\n' "$resources" | grep -qi "/$reused\$"; then
      die $REFUSED "$reused is an existing resource ($variable) and yet tagged azd-env-name=$name; take the tag off first"
    fi
  done
fi
$yes || confirm "Take down environment $name?" || die $REFUSED "not confirmed; --yes does not ask"

if $rbac; then
  "$here/cleanup-rbac.sh" || die $? "the roles could not be removed; --keep-rbac goes on without"
fi
if [[ -z $group ]]; then
  CALL_TIMEOUT_S=${DOWN_TIMEOUT_S:-3600} call azd down --purge --force
  say "Environment $name is gone."
  exit 0
fi
left=$resources
for _ in 1 2 3; do
  failed=
  for resource in $left; do
    if CALL_TIMEOUT_S=600 az_quiet resource delete --ids "$resource"; then
      say "deleted $resource"
    else
      failed="$failed $resource"
    fi
  done
  left=$failed
  [[ -n $left ]] || break
  sleep "$RETRY_DELAY_S"
done
[[ -z $left ]] || die $BROKEN "not deleted:$left"
say "Environment $name is gone; group $group and everything else in it are untouched."
