#!/usr/bin/env bash
# Creates a container instance from one of the files beside it.
#
#   deploy/aci/create.sh identity --resource-group RG --image IMAGE --identity NAME --account ACCOUNT --scene SCENE
#   deploy/aci/create.sh sas      ... --scene SCENE      the signature comes from AZURE_STORAGE_SAS_TOKEN
#   deploy/aci/create.sh files    ... --share SHARE      the account's key is asked for
#   any of them with --name NAME, --location PLACE, --dry-run (prints the file, secrets left out, and creates nothing)
#
# IMAGE is REGISTRY/REPOSITORY:TAG of a build of Dockerfile.runner-cpu: container instances have no GPUs any more.
# Exit codes: 0, 1 a call to Azure failed, 2 wrong arguments.
# shellcheck disable=SC2034  # the values of the file are read by their names
set -euo pipefail

fail() { printf 'error: %s\n' "$2" >&2; exit "$1"; }

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
kind=${1:-}
case $kind in
  identity) file=$here/batch-identity.yaml ;;
  sas) file=$here/batch-sas.yaml ;;
  files) file=$here/watch-files.yaml ;;
  -h | --help) sed -n '2,12s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
  *) fail 2 "use identity, sas or files; --help tells more" ;;
esac
shift

RESOURCE_GROUP='' NAME=video-splat LOCATION='' IMAGE='' IDENTITY='' ACCOUNT='' SCENE='' SHARE='' dry_run=false
while (($#)); do
  case $1 in
    --dry-run) dry_run=true; shift; continue ;;
    --resource-group | --name | --location | --image | --identity | --account | --scene | --share)
      (($# > 1)) || fail 2 "$1 needs a value"
      variable=${1#--}; variable=${variable//-/_}
      printf -v "${variable^^}" %s "$2"
      shift 2 ;;
    *) fail 2 "$1 is unknown; --help tells more" ;;
  esac
done
needed=(RESOURCE_GROUP IMAGE IDENTITY ACCOUNT)
if [[ $kind == files ]]; then needed+=(SHARE); else needed+=(SCENE); fi
for variable in "${needed[@]}"; do
  option=${variable,,}
  [[ -n ${!variable} ]] || fail 2 "--${option//_/-} is needed"
done
# What goes into the file is plain text of one line: nothing in it may end a value or begin another.
for variable in NAME LOCATION IMAGE IDENTITY ACCOUNT SCENE SHARE; do
  [[ ${!variable} =~ ^[A-Za-z0-9._/:@-]*$ ]] || fail 2 "--${variable,,} may hold letters, digits and . _ / : @ - only"
done
[[ $IMAGE == */*:* ]] || fail 2 "--image is REGISTRY/REPOSITORY:TAG"
REGISTRY=${IMAGE%%/*}

az_value() { az "$@" --output tsv --only-show-errors || fail 1 "az $1 $2 failed"; }

SAS=${AZURE_STORAGE_SAS_TOKEN:-} KEY='' IDENTITY_ID='' CLIENT_ID=''
if [[ $kind == sas && -z $SAS ]]; then fail 2 "AZURE_STORAGE_SAS_TOKEN is not set"; fi
[[ $SAS =~ ^[A-Za-z0-9%=\&?:._~/+-]*$ ]] || fail 2 "AZURE_STORAGE_SAS_TOKEN is no shared access signature"
IDENTITY_ID=$(az_value identity show --resource-group "$RESOURCE_GROUP" --name "$IDENTITY" --query id)
CLIENT_ID=$(az_value identity show --resource-group "$RESOURCE_GROUP" --name "$IDENTITY" --query clientId)
if [[ -z $LOCATION ]]; then LOCATION=$(az_value group show --name "$RESOURCE_GROUP" --query location); fi
if [[ $kind == files && $dry_run == false ]]; then
  KEY=$(az_value storage account keys list --resource-group "$RESOURCE_GROUP" --account-name "$ACCOUNT" --query '[0].value')
fi
if $dry_run; then SAS='[REDACTED]' KEY='[REDACTED]'; fi

text=$(<"$file")
for variable in NAME LOCATION IDENTITY_ID REGISTRY IMAGE SCENE ACCOUNT CLIENT_ID SAS SHARE KEY; do
  value=${!variable}
  text=${text//"\${$variable}"/"$value"}
done
if $dry_run; then printf '%s\n' "$text"; exit 0; fi

rendered=$(mktemp --suffix=.yaml)  # nobody else may read it, from its first byte: it may hold a secret
trap 'rm -f "$rendered"' EXIT
printf '%s\n' "$text" >"$rendered"
az container create --resource-group "$RESOURCE_GROUP" --file "$rendered" --only-show-errors --output none ||
  fail 1 "az container create failed"
printf 'created: az container logs --resource-group %s --name %s --follow\n' "$RESOURCE_GROUP" "$NAME"
