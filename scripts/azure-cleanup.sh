#!/usr/bin/env bash
# Removes what azure-test.sh uploaded and made; with --delete-all also what azure-setup.sh made.
#
#     scripts/azure-cleanup.sh [--delete-all] [--yes] [--config FILE]
#
# Lists it and asks first; --yes does not. Only in a group that carries the tag of azure-setup.sh. Safe to repeat.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/lib.sh"

all=false yes=false config=azure-test-config.env
while [[ $# -gt 0 ]]; do
  case $1 in
    --delete-all) all=true ;;
    --yes) yes=true ;;
    --config) need_value "$1" $#; config=$2; shift ;;
    *) no_arguments "$0" "$1" ;;
  esac
  shift
done

[[ -f $config ]] || die $REFUSED "$config does not exist: there is nothing that azure-setup.sh made"
entry() { sed -n "s/^$1=//p" "$config" | head -1; }
account=$(entry AZURE_STORAGE_ACCOUNT)
group=$(entry TEST_RESOURCE_GROUP)
SUBSCRIPTION=$(entry TEST_SUBSCRIPTION)
[[ -n $account && -n $group && -n $SUBSCRIPTION ]] || die $REFUSED "$config is not what azure-setup.sh wrote"
need_commands az

code=0
owner=$(az_tsv group show --name "$group" --query 'tags."created-by"') || code=$?
if [[ $code -eq $FAILED ]]; then
  rm -f "$config"
  say "There is no group $group any more."
  exit 0
fi
[[ $code -eq 0 ]] || exit "$code"
[[ $owner == azure-setup.sh ]] || die $REFUSED "group $group does not carry the tag of azure-setup.sh; nothing in it is deleted"

if $all; then
  resources=$(az_tsv resource list --resource-group "$group" --query '[].id')
  say "To be deleted: resource group $group, with:"
  printf '%s\n' "${resources:-nothing}" | sed 's|.*/providers/||; s/^/  /'
  $yes || confirm "Delete it?" || die $REFUSED "not confirmed; --yes does not ask"
  CALL_TIMEOUT_S=${DELETE_TIMEOUT_S:-1800} az_quiet group delete --name "$group" --yes
  rm -f "$config"
  say "Group $group is gone."
  exit 0
fi
say "To be deleted from account $account, which stays:"
for container in $CONTAINERS; do
  count=$(az_tsv storage blob list --account-name "$account" --auth-mode login --container-name "$container" --num-results 5000 \
    --query 'length(@)')
  say "  container $container: ${count:-0} blobs (counted to 5000)"
done
say "  messages of the queues $QUEUES"
$yes || confirm "Delete them?" || die $REFUSED "not confirmed; --yes does not ask"
for container in $CONTAINERS; do
  CALL_TIMEOUT_S=900 az_quiet storage blob delete-batch --account-name "$account" --auth-mode login --source "$container"
  say "emptied $container"
done
for queue in $QUEUES; do
  az_quiet storage message clear --account-name "$account" --auth-mode login --queue-name "$queue"
done
say "The account $account is empty. --delete-all removes it too."
