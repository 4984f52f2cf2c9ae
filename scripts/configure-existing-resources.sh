#!/usr/bin/env bash
# Chooses existing Azure resources that azd provision is to use instead of making new ones. Asks on a terminal; or by flags:
#
#     scripts/configure-existing-resources.sh
#     scripts/configure-existing-resources.sh --resource-group RG [--acr NAME] [--storage NAME] [--environment NAME]
#                                             [--log-analytics NAME] [--create-containers]
#     scripts/configure-existing-resources.sh --reset
#
# Whatever is not named is made new. Looks first, and sets the EXISTING_* variables and AZURE_LOCATION of the azd environment
# only when everything fits: the resources exist, the storage account has the five containers (--create-containers makes
# those that are missing), the environment has the GPU profile of GPU_PROFILE_TYPE, and the region offers it.
# --reset forgets the choice and FORCE_DELETE.
set -euo pipefail
here=$(cd "$(dirname "$(readlink -f "$0")")" && pwd -P)
. "$here/lib.sh"

group='' acr='' storage='' environment='' workspace='' reset=false create=false asked=false
[[ $# -gt 0 ]] || asked=true
while [[ $# -gt 0 ]]; do
  case $1 in
    --resource-group) need_value "$1" $#; group=$2; shift ;;
    --acr) need_value "$1" $#; acr=$2; shift ;;
    --storage) need_value "$1" $#; storage=$2; shift ;;
    --environment) need_value "$1" $#; environment=$2; shift ;;
    --log-analytics) need_value "$1" $#; workspace=$2; shift ;;
    --create-containers) create=true ;;
    --reset) reset=true ;;
    -h | --help) usage "$0"; exit 0 ;;
    *) die $REFUSED "unknown argument $1; see $SCRIPT --help" ;;
  esac
  shift
done

need_commands azd
set_value() { call azd env set "$1" "$2" >/dev/null; }

if $reset; then
  for variable in $EXISTING_VARIABLES FORCE_DELETE; do
    set_value "$variable" ""
  done
  say "Every EXISTING_* variable and FORCE_DELETE are cleared; azd provision makes new resources."
  exit 0
fi

need_commands az
load_values
account=$(az_tsv account show --query name)
say "Subscription: $account"

# choose TITLE COMMAND...: into CHOICE one of the names the command prints, or "" for a new one.
choose() {
  local title=$1 names name number=0 answer
  shift
  names=$(az_tsv "$@")
  CHOICE=
  if [[ -z $names ]]; then
    say "$title: none here, a new one is made"
    return 0
  fi
  say "$title:"
  for name in $names; do
    number=$((number + 1))
    say "  $number) $name"
  done
  while :; do
    read -r -p "number, or Enter for a new one: " answer || answer=
    [[ -n $answer ]] || return 0
    if [[ $answer =~ ^[0-9]+$ && $answer -ge 1 && $answer -le $number ]]; then
      # shellcheck disable=SC2086  # names of resources have no spaces
      CHOICE=$(printf '%s\n' $names | sed -n "${answer}p")
      return 0
    fi
    say "1 to $number"
  done
}

if $asked; then
  [[ -t 0 || -n ${ANSWERS_FROM_STDIN:-} ]] || die $REFUSED "no terminal to ask on; name the resources by flags (--help)"
  choose "Resource group" group list --query "sort([].name)"
  group=$CHOICE
  if [[ -n $group ]]; then
    choose "Container registry" acr list --resource-group "$group" --query "sort([].name)"
    acr=$CHOICE
    choose "Storage account" storage account list --resource-group "$group" --query "sort([].name)"
    storage=$CHOICE
    choose "Container Apps environment" containerapp env list --resource-group "$group" --query "sort([].name)"
    environment=$CHOICE
    if [[ -z $environment ]]; then  # an existing environment has its logging already
      choose "Log Analytics workspace" monitor log-analytics workspace list --resource-group "$group" --query "sort([].name)"
      workspace=$CHOICE
    fi
  fi
fi
if [[ -z $group ]]; then
  [[ -z $acr$storage$environment$workspace ]] || die $REFUSED "the other resources are looked for in --resource-group; name it"
  say "Nothing chosen: azd provision makes everything new."
  exit 0
fi

location=$(az_tsv group show --name "$group" --query location)
profile=$(value GPU_PROFILE_TYPE)
profile=${profile:-Consumption-GPU-NC8as-T4}
gpu=$(value USE_GPU)
if [[ -n $acr ]]; then
  az_quiet acr show --resource-group "$group" --name "$acr"
fi
if [[ -n $workspace ]]; then
  az_quiet monitor log-analytics workspace show --resource-group "$group" --workspace-name "$workspace"
fi
if [[ -n $storage ]]; then
  az_quiet storage account show --resource-group "$group" --name "$storage"
  there=$(az_tsv storage container list --account-name "$storage" --auth-mode login --query '[].name')
  missing=
  for container in $CONTAINERS; do
    contains "$there" "$container" || missing="$missing $container"
  done
  if [[ -n $missing ]] && $create; then
    for container in $missing; do
      az_quiet storage container create --account-name "$storage" --auth-mode login --name "$container"
      say "created container $container"
    done
  elif [[ -n $missing ]]; then
    die $FAILED "storage account $storage lacks the containers:$missing; make them with --create-containers"
  fi
fi
if [[ -n $environment ]]; then
  location=$(az_tsv containerapp env show --resource-group "$group" --name "$environment" --query location)
  if [[ $gpu != false ]]; then
    profiles=$(az_tsv containerapp env show --resource-group "$group" --name "$environment" \
      --query 'properties.workloadProfiles[].workloadProfileType')
    contains "$profiles" "$profile" || die $FAILED "environment $environment has no workload profile of type $profile" \
      "(GPU_PROFILE_TYPE); add one, or choose another environment"
  fi
fi
location=$(printf '%s' "$location" | tr '[:upper:]' '[:lower:]' | tr -d ' ')
if [[ $gpu != false ]]; then
  contains "$(regions_of "$profile")" "$location" || die $FAILED "$profile is not offered in $location"
fi

# All is well: only now is anything changed.
set_value EXISTING_RESOURCE_GROUP "$group"
set_value EXISTING_ACR_NAME "$acr"
set_value EXISTING_STORAGE_ACCOUNT_NAME "$storage"
set_value EXISTING_CONTAINER_APPS_ENV_NAME "$environment"
set_value EXISTING_LOG_ANALYTICS_NAME "$workspace"
set_value AZURE_LOCATION "$location"
say "azd provision will use: group $group ($location), registry ${acr:-new}, storage ${storage:-new}," \
  "environment ${environment:-new}, Log Analytics ${workspace:-new}"
