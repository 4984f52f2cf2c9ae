#!/usr/bin/env bash
# Creates a container instance from one of the files beside it.
#
#     infra/aci/create.sh identity --resource-group RG --image IMAGE --identity NAME --account ACCOUNT --scene SCENE
#     infra/aci/create.sh sas      ... --scene SCENE      the signature comes from AZURE_STORAGE_SAS_TOKEN
#     infra/aci/create.sh serve    ...                    uploads become scenes until it is deleted (docs/serve.md)
#     infra/aci/create.sh files    ... --share SHARE      watch mode over a share; the account's key is asked for
#
# With any of them: --name NAME, --location PLACE, --dry-run (prints the file, secrets left out, and creates nothing).
# With serve and files: --public-ip or --subnet SUBNET_ID, an address at which port 8080 tells of its health. There is no log-in.
# IMAGE is REGISTRY/REPOSITORY:TAG of a build of runner/image/Dockerfile.cpu: container instances have no GPUs any more.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../../scripts/lib.sh"

kind=${1:-}
case $kind in
  identity) file=$here/batch-identity.yaml ;;
  sas) file=$here/batch-sas.yaml ;;
  serve) file=$here/serve.yaml ;;
  files) file=$here/watch-files.yaml ;;
  -h | --help) usage "$0"; exit 0 ;;
  *) die $REFUSED "use identity, sas, serve or files; see $SCRIPT --help" ;;
esac
shift

group='' name=video-splat location='' image='' identity='' account='' scene='' share='' subnet='' public=false dry_run=false
while [[ $# -gt 0 ]]; do
  case $1 in
    --dry-run) dry_run=true ;;
    --resource-group) need_value "$1" $#; group=$2; shift ;;
    --name) need_value "$1" $#; name=$2; shift ;;
    --location) need_value "$1" $#; location=$2; shift ;;
    --image) need_value "$1" $#; image=$2; shift ;;
    --identity) need_value "$1" $#; identity=$2; shift ;;
    --account) need_value "$1" $#; account=$2; shift ;;
    --scene) need_value "$1" $#; scene=$2; shift ;;
    --public-ip) public=true ;;
    --subnet) need_value "$1" $#; subnet=$2; shift ;;
    --share) need_value "$1" $#; share=$2; shift ;;
    -h | --help) usage "$0"; exit 0 ;;
    *) die $REFUSED "unknown argument $1; see $SCRIPT --help" ;;
  esac
  shift
done
case $kind in
  serve) what=none ;;
  files) what=$share ;;
  *) what=$scene ;;
esac
[[ -n $group && -n $image && -n $identity && -n $account && -n $what ]] ||
  die $REFUSED "--resource-group, --image, --identity, --account$(case $kind in files) echo ' and --share' ;; serve) ;; *) echo ' and --scene' ;; esac) are needed"
if $public || [[ -n $subnet ]]; then
  [[ $kind == serve || $kind == files ]] || die $REFUSED "--public-ip and --subnet are for serve and files: a job has no health to ask for"
  ! $public || [[ -z $subnet ]] || die $REFUSED "use --public-ip or --subnet"
fi
# What goes into the file is plain text of one line: nothing in it may end a value or begin another.
for given in "$name" "$location" "$image" "$identity" "$account" "$scene" "$share" "$subnet"; do
  [[ $given =~ ^[A-Za-z0-9._/:@-]*$ ]] || die $REFUSED "'$given': use letters, digits and . _ / : @ -"
done
[[ $image == */*:* ]] || die $REFUSED "--image is REGISTRY/REPOSITORY:TAG"

sas=${AZURE_STORAGE_SAS_TOKEN:-} key=''
if [[ $kind == sas ]]; then
  [[ -n $sas ]] || die $REFUSED "AZURE_STORAGE_SAS_TOKEN is not set"
  [[ $sas =~ ^[A-Za-z0-9%=\&?:._~/+-]*$ ]] || die $REFUSED "AZURE_STORAGE_SAS_TOKEN is no shared access signature"
fi
need_commands az
choose_subscription
identity_id=$(az_tsv identity show --resource-group "$group" --name "$identity" --query id)
client_id=$(az_tsv identity show --resource-group "$group" --name "$identity" --query clientId)
[[ -n $location ]] || location=$(az_tsv group show --name "$group" --query location)
if $dry_run; then
  sas='[REDACTED]' key='[REDACTED]'
elif [[ $kind == files ]]; then
  key=$(az_tsv storage account keys list --resource-group "$group" --account-name "$account" --query '[0].value')
fi

text=$(cat "$file")
# fill NAME VALUE: puts the value in the place of ${NAME}.
fill() {
  local mark="\${$1}"
  while [[ $text == *"$mark"* ]]; do
    text=${text%%"$mark"*}$2${text#*"$mark"}
  done
}
fill NAME "$name"; fill LOCATION "$location"; fill IDENTITY_ID "$identity_id"; fill CLIENT_ID "$client_id"
fill REGISTRY "${image%%/*}"; fill IMAGE "$image"; fill ACCOUNT "$account"; fill SCENE "$scene"; fill SHARE "$share"
fill SAS "$sas"; fill KEY "$key"
ports='[{protocol: TCP, port: 8080}]' listen=127.0.0.1
if $public; then
  listen=0.0.0.0 && fill ADDRESS "ipAddress: {type: Public, ports: $ports}"
elif [[ -n $subnet ]]; then
  listen=0.0.0.0 && fill ADDRESS "subnetIds: [{id: $subnet}]"$'\n'"  ipAddress: {type: Private, ports: $ports}"
fi
[[ $listen == 127.0.0.1 ]] || fill PORTS "ports: $ports"
fill LISTEN "$listen"
text=$(grep -vE '^ +\$\{(ADDRESS|PORTS)\}$' <<<"$text")
if $dry_run; then
  say "$text"
  exit 0
fi

umask 077  # nobody else may read the file, which may hold a secret, from its first byte
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
say "$text" >"$work/group.yaml"
CALL_TIMEOUT_S=${CREATE_TIMEOUT_S:-900} az_quiet container create --resource-group "$group" --file "$work/group.yaml"
if $public; then
  say "Health: curl http://ADDRESS:8080/health, the address by: az container show --subscription $SUBSCRIPTION --resource-group $group --name $name --query ipAddress.ip --output tsv"
fi
say "Created. Follow it with: az container logs --subscription $SUBSCRIPTION --resource-group $group --name $name --follow"
