#!/usr/bin/env bash
# Makes a storage account for trying things out: containers, queues, and the roles for whoever is signed in. No keys. Writes
# azure-test-config.env, which azure-test.sh and azure-cleanup.sh read.
#
#     scripts/azure-setup.sh [--location L] [--resource-group RG] [--account NAME] [--config FILE]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/lib.sh"
. "$here/lib-roles.sh"

location=eastus group=rg-video-splat-test account='' config=azure-test-config.env
while [[ $# -gt 0 ]]; do
  case $1 in
    --location) need_value "$1" $#; location=$2; shift ;;
    --resource-group) need_value "$1" $#; group=$2; shift ;;
    --account) need_value "$1" $#; account=$2; shift ;;
    --config) need_value "$1" $#; config=$2; shift ;;
    *) no_arguments "$0" "$1" ;;
  esac
  shift
done
account=${account:-splattest$(od -An -N4 -tx4 /dev/urandom | tr -d ' ')}
[[ $account =~ ^[a-z0-9]{3,24}$ ]] || die $REFUSED "--account $account: 3 to 24 lower-case letters and digits"

need_commands az
choose_subscription
if [[ $(az_tsv group exists --name "$group") == true ]]; then
  # azure-cleanup.sh deletes a group with this tag: it must never be put on somebody else's
  owner=$(az_tsv group show --name "$group" --query 'tags."created-by"')
  [[ $owner == azure-setup.sh ]] || die $REFUSED "group $group exists and was not made by this script; choose another name"
else
  az_quiet group create --name "$group" --location "$location" --tags created-by=azure-setup.sh
fi
CALL_TIMEOUT_S=600 az_quiet storage account create --resource-group "$group" --name "$account" --location "$location" \
  --sku Standard_LRS --kind StorageV2 --min-tls-version TLS1_2 --https-only true --allow-blob-public-access false \
  --allow-shared-key-access false
scope=$(az_tsv storage account show --resource-group "$group" --name "$account" --query id)
who=$(az_tsv ad signed-in-user show --query id)
for role in "Storage Blob Data Contributor" "Storage Queue Data Contributor"; do
  id=$(role_id "$role")
  retry 5 az_quiet role assignment create --assignee-object-id "$who" --assignee-principal-type User --role "$id" --scope "$scope"
done

# The roles take a while to be known; until then every call is refused, which is no reason to give up here.
ready() { az_quiet storage container create --account-name "$account" --auth-mode login --name input || return $BROKEN; }
retry 30 ready
for container in $CONTAINERS; do
  az_quiet storage container create --account-name "$account" --auth-mode login --name "$container"
done
for queue in $QUEUES; do
  retry 5 az_quiet storage queue create --account-name "$account" --auth-mode login --name "$queue"
done

umask 077
cat >"$config" <<END
# Written by azure-setup.sh. No secret: access is by the signed-in account.
AZURE_STORAGE_ACCOUNT=$account
AZURE_USE_AZURE_AD=true
TEST_RESOURCE_GROUP=$group
TEST_SUBSCRIPTION=$SUBSCRIPTION
END
say "Storage account $account in $group. Next: scripts/azure-test.sh"
