#!/usr/bin/env bash
# Takes the deployment down: role assignments first, then what it made.
#
#     scripts/teardown.sh [--yes] [--keep-rbac]
#
# First lists what goes and what stays, and asks; --yes does not. Where nothing is reused and the group holds nothing of somebody else:
# azd down --purge --force. Else azd, which deletes whole groups, is not called: our event subscription goes from a reused system topic,
# then the resources that carry this environment's tag azd-env-name, one by one, then the group if it carries the tag too and nothing is
# left in it. --keep-rbac leaves the roles. Safe to repeat.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/lib.sh"
. "$here/lib-down.sh"

yes=false rbac=true
while [[ $# -gt 0 ]]; do
  case $1 in
    --yes) yes=true ;;
    --keep-rbac) rbac=false ;;
    *) no_arguments "$0" "$1" ;;
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

[[ -n $group || -z $kept ]] || die $REFUSED "AZURE_RESOURCE_GROUP is not set: nothing was provisioned that could be found"

OURS='' THEIRS='' GROUP_GONE=false
if [[ -n $group ]]; then
  look_at_group "$group" "$name"
  if $GROUP_GONE; then
    say "There is no group $group any more."
  else
    say "To be deleted from $group:" && shown "$OURS"
  fi
fi
if [[ -n $kept ]]; then
  say "Reused, and left alone:" && say "$kept"
  while IFS= read -r resource; do
    for word in ${kept#*: }; do
      [[ $(lowered "${resource##*/}") != "$(lowered "$word")" ]] ||
        die $REFUSED "$word is an existing resource and yet tagged azd-env-name=$name; take the tag off first"
    done
  done <<END
$OURS
END
fi
if [[ -n $THEIRS ]]; then
  say "In $group without this environment's tag, and left alone (so the group stays):" && shown "$THEIRS"
fi
! $rbac || say "Role assignments of scripts/roles.tsv go too; those on parent scopes and of other principals stay."
$yes || confirm "Take down environment $name?" || die $REFUSED "not confirmed; --yes does not ask"

unsubscribe || die $? "our event subscription on a reused system topic is still there; nothing was deleted"
if $rbac; then
  "$here/cleanup-rbac.sh" --yes || die $? "the roles could not be removed; --keep-rbac goes on without"
fi
if [[ -z $kept$THEIRS ]]; then
  CALL_TIMEOUT_S=${DOWN_TIMEOUT_S:-3600} call azd down --purge --force
  say "Environment $name is gone."
  exit 0
fi
if $GROUP_GONE; then
  say "Environment $name is gone."
  exit 0
fi
# What depends on what is not told; a further round takes what the first could not.
left=$OURS
for _ in 1 2 3; do
  failed=
  while IFS= read -r resource <&3; do
    [[ -n $resource ]] || continue
    if CALL_TIMEOUT_S=600 az_quiet resource delete --ids "$resource"; then
      say "deleted $resource"
    else
      failed="${failed:+$failed
}$resource"
    fi
  done 3<<END
$left
END
  left=$failed
  [[ -n $left ]] || break
  sleep "$RETRY_DELAY_S"
done
[[ -z $left ]] || die $BROKEN "not deleted: $left"

owner=$(az_tsv group show --name "$group" --query 'tags."azd-env-name"')
rest=$(az_tsv resource list --resource-group "$group" --query '[].id')
if [[ $owner == "$name" && -z $rest ]]; then
  CALL_TIMEOUT_S=${DOWN_TIMEOUT_S:-3600} az_quiet group delete --name "$group" --yes
  say "Environment $name is gone, and its group $group."
else
  say "Environment $name is gone; group $group and everything else in it are untouched."
fi
