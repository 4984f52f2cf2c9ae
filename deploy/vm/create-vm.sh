#!/usr/bin/env bash
# Creates a virtual machine with a T4, a data disk and an identity that may pull the image. Run it where `az` is logged in.
#
#   deploy/vm/create-vm.sh --resource-group RG --registry ACR [--name NAME] [--location PLACE] [--size SIZE]
#                          [--data-gb N] [--dry-run]
#
# Then copy this repository there and run deploy/vm/setup.sh. Exit codes: 0, 1 a call to Azure failed, 2 wrong arguments.
set -euo pipefail

fail() { printf 'error: %s\n' "$2" >&2; exit "$1"; }

RESOURCE_GROUP='' NAME=video-splat LOCATION='' SIZE=Standard_NC8as_T4_v3 DATA_GB=512 REGISTRY='' dry_run=false
while (($#)); do
  case $1 in
    --dry-run) dry_run=true; shift; continue ;;
    -h | --help) sed -n '2,7s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    --resource-group | --name | --location | --size | --data-gb | --registry)
      (($# > 1)) || fail 2 "$1 needs a value"
      variable=${1#--}; variable=${variable//-/_}
      printf -v "${variable^^}" %s "$2"
      shift 2 ;;
    *) fail 2 "$1 is unknown; --help tells more" ;;
  esac
done
[[ -n $RESOURCE_GROUP ]] || fail 2 "--resource-group is needed"
[[ -n $REGISTRY ]] || fail 2 "--registry is needed"
[[ $DATA_GB =~ ^[1-9][0-9]*$ ]] || fail 2 "--data-gb is a number"

run() {
  if $dry_run; then printf '%q ' az "$@"; printf '\n'; return; fi
  az "$@" --only-show-errors --output none || fail 1 "az $1 $2 failed"
}

options=(vm create --resource-group "$RESOURCE_GROUP" --name "$NAME" --image Ubuntu2204 --size "$SIZE"
  --data-disk-sizes-gb "$DATA_GB" --os-disk-size-gb 128 --storage-sku Premium_LRS
  --assign-identity '[system]' --admin-username azureuser --generate-ssh-keys --public-ip-sku Standard --nsg-rule SSH)
if [[ -n $LOCATION ]]; then options+=(--location "$LOCATION"); fi
run "${options[@]}"
# The driver, by the extension that Azure keeps for these sizes.
run vm extension set --resource-group "$RESOURCE_GROUP" --vm-name "$NAME" \
  --publisher Microsoft.HpcCompute --name NvidiaGpuDriverLinux
if $dry_run; then
  principal=PRINCIPAL_ID registry_id=REGISTRY_ID
else
  principal=$(az vm show --resource-group "$RESOURCE_GROUP" --name "$NAME" --query identity.principalId \
    --output tsv --only-show-errors) || fail 1 "az vm show failed"
  registry_id=$(az acr show --name "$REGISTRY" --query id --output tsv --only-show-errors) || fail 1 "az acr show failed"
fi
run role assignment create --assignee-object-id "$principal" --assignee-principal-type ServicePrincipal \
  --role AcrPull --scope "$registry_id"
