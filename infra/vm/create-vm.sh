#!/usr/bin/env bash
# Creates a virtual machine with a T4, a data disk and an identity that may pull the image. Run it where `az` is logged in.
#
#     infra/vm/create-vm.sh --resource-group RG --registry ACR [--account ACCOUNT] [--name NAME] [--location PLACE] [--size SIZE]
#                            [--data-gb N] [--dry-run]
#
# --account   for serve mode: the identity may use blobs and queues of this account too
#
# At its first start the machine installs Docker, the NVIDIA Container Toolkit and the Azure CLI by itself (prepare.sh, a few minutes).
# Then copy this repository there and run infra/vm/setup.sh.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../../scripts/lib.sh"
. "$here/../../scripts/lib-roles.sh"

group='' name=video-splat location='' size=Standard_NC8as_T4_v3 data_gb=512 registry='' account='' dry_run=false
while [[ $# -gt 0 ]]; do
  case $1 in
    --dry-run) dry_run=true ;;
    --resource-group) need_value "$1" $#; group=$2; shift ;;
    --name) need_value "$1" $#; name=$2; shift ;;
    --location) need_value "$1" $#; location=$2; shift ;;
    --size) need_value "$1" $#; size=$2; shift ;;
    --data-gb) need_value "$1" $#; data_gb=$2; shift ;;
    --account) need_value "$1" $#; account=$2; shift ;;
    --registry) need_value "$1" $#; registry=$2; shift ;;
    -h | --help) usage "$0"; exit 0 ;;
    *) die $REFUSED "unknown argument $1; see $SCRIPT --help" ;;
  esac
  shift
done
[[ -n $group ]] || die $REFUSED "--resource-group is needed"
[[ -n $registry ]] || die $REFUSED "--registry is needed"
[[ $data_gb =~ ^[1-9][0-9]*$ ]] || die $REFUSED "--data-gb is a number"

need_commands az
if $dry_run; then
  SUBSCRIPTION=${AZURE_SUBSCRIPTION_ID:-SUBSCRIPTION}
else
  choose_subscription
fi
run() {
  if $dry_run; then
    printf '%q ' az "$@" --subscription "$SUBSCRIPTION"
    printf '\n'
  else
    CALL_TIMEOUT_S=${CREATE_TIMEOUT_S:-1800} az_quiet "$@"
  fi
}

options=(vm create --resource-group "$group" --name "$name" --image Ubuntu2204 --size "$size"
  --data-disk-sizes-gb "$data_gb" --os-disk-size-gb 128 --storage-sku Premium_LRS
  --assign-identity '[system]' --admin-username azureuser --generate-ssh-keys --public-ip-sku Standard --nsg-rule SSH
  --custom-data "$here/prepare.sh")
[[ -z $location ]] || options+=(--location "$location")
run "${options[@]}"
# The driver, by the extension that Azure keeps for these sizes.
run vm extension set --resource-group "$group" --vm-name "$name" --publisher Microsoft.HpcCompute --name NvidiaGpuDriverLinux
if $dry_run; then
  principal=PRINCIPAL_ID registry_id=REGISTRY_ID account_id=ACCOUNT_ID
else
  principal=$(az_tsv vm show --resource-group "$group" --name "$name" --query identity.principalId)
  registry_id=$(az_tsv acr show --name "$registry" --query id)
  [[ -z $account ]] || account_id=$(az_tsv storage account show --name "$account" --query id)
fi
# grant ROLE SCOPE: gives the machine's identity a role.
grant() {
  run role assignment create --assignee-object-id "$principal" --assignee-principal-type ServicePrincipal \
    --role "$(role_id "$1")" --scope "$2"
}
grant AcrPull "$registry_id"
if [[ -n $account ]]; then
  grant 'Storage Blob Data Contributor' "$account_id"
  grant 'Storage Queue Data Contributor' "$account_id"
fi
say "Next: copy this repository to the machine and run there, when \`cloud-init status --wait\` has ended:" \
  "sudo infra/vm/setup.sh --image REGISTRY/REPOSITORY:TAG${account:+ --serve $account}"
