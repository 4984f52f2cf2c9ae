#!/usr/bin/env bash
# Takes the deployment down: role assignments first, then what it made.
#
#     scripts/teardown.sh [--yes] [--keep-rbac]
#
# Where nothing is reused: azd down --purge --force. Else azd, which deletes whole groups, is not called: our event subscription goes
# from a reused system topic, then the resources that carry this environment's tag azd-env-name, one by one, then the group if it
# carries the tag too and nothing is left in it. --yes does not ask; --keep-rbac leaves the roles.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
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
need_all AZURE_SUBSCRIPTION_ID AZURE_ENV_NAME
name=$(need AZURE_ENV_NAME)
group=$(value EXISTING_RESOURCE_GROUP)
group=${group:-$(value AZURE_RESOURCE_GROUP)}
kept=$(reused)

if [[ -n $kept ]]; then
  [[ -n $group ]] || die $REFUSED "AZURE_RESOURCE_GROUP is not set: nothing was provisioned that could be found"
  resources=$(az_tsv resource list --tag "azd-env-name=$name" --query '[].id') # az takes no other filter beside --tag
  resources=$(printf '%s\n' "$resources" | grep -iF "/resourceGroups/$group/" || true)
  say "Reused, and left alone:" && say "$kept"
  say "To be deleted from $group:" && say "${resources:-nothing}"
  for resource in $resources; do
    for word in ${kept#*: }; do
      [[ $(printf '%s' "${resource##*/}" | tr '[:upper:]' '[:lower:]') != $(printf '%s' "$word" | tr '[:upper:]' '[:lower:]') ]] ||
        die $REFUSED "$word is an existing resource and yet tagged azd-env-name=$name; take the tag off first"
    done
  done
fi
$yes || confirm "Take down environment $name?" || die $REFUSED "not confirmed; --yes does not ask"

unsubscribe || die $? "our event subscription on a reused system topic is still there; nothing was deleted"
if $rbac; then
  "$here/cleanup-rbac.sh" || die $? "the roles could not be removed; --keep-rbac goes on without"
fi
if [[ -z $kept ]]; then
  CALL_TIMEOUT_S=${DOWN_TIMEOUT_S:-3600} call azd down --purge --force
  say "Environment $name is gone."
  exit 0
fi
# What depends on what is not told; a further round takes what the first could not.
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

owner=$(az_tsv group show --name "$group" --query 'tags."azd-env-name"')
rest=$(az_tsv resource list --resource-group "$group" --query '[].id')
if [[ $owner == "$name" && -z $rest ]]; then
  CALL_TIMEOUT_S=${DOWN_TIMEOUT_S:-3600} az_quiet group delete --name "$group" --yes
  say "Environment $name is gone, and its group $group."
else
  say "Environment $name is gone; group $group and everything else in it are untouched."
fi
