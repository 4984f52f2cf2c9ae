#!/usr/bin/env bash
# Chooses existing Azure resources that azd provision is to use instead of making new ones. Asks on a terminal; or by flags:
#
#     scripts/configure-existing-resources.sh
#     scripts/configure-existing-resources.sh [--resource-group RG] [--resources-group RG] [--acr NAME] [--storage NAME]
#                                             [--event-grid-topic NAME] [--environment NAME] [--gpu-profile NAME]
#                                             [--log-analytics NAME] [--create-containers]
#     scripts/configure-existing-resources.sh --reset
#
# --resource-group    deploy into this group; without it a new one is made
# --resources-group   where the reused resources are, if it is another one
# --event-grid-topic  system topic of the storage account; found by itself, since an account has only one
# --gpu-profile       name of the environment's GPU profile; needed only where it has several of the type
#
# Whatever is not named is made new. Looks first, and sets the EXISTING_* variables, GPU_PROFILE_NAME and AZURE_LOCATION of the
# azd environment only when everything fits: the resources exist, the storage account has the five containers (those that are
# missing are made after a question, or with --create-containers), its system topic can deliver as itself, the environment has the GPU
# profile of GPU_PROFILE_TYPE, and the region offers it. --reset forgets the choice and FORCE_DELETE.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/lib.sh"

group='' resources='' acr='' storage='' topic='' environment='' gpu_profile='' workspace='' reset=false create=false asked=false
[[ $# -gt 0 && $* != --create-containers ]] || asked=true # which names no resource
while [[ $# -gt 0 ]]; do
  case $1 in
    --resource-group) need_value "$1" $#; group=$2; shift ;;
    --resources-group) need_value "$1" $#; resources=$2; shift ;;
    --acr) need_value "$1" $#; acr=$2; shift ;;
    --storage) need_value "$1" $#; storage=$2; shift ;;
    --event-grid-topic) need_value "$1" $#; topic=$2; shift ;;
    --environment) need_value "$1" $#; environment=$2; shift ;;
    --gpu-profile) need_value "$1" $#; gpu_profile=$2; shift ;;
    --log-analytics) need_value "$1" $#; workspace=$2; shift ;;
    --create-containers) create=true ;;
    --reset) reset=true ;;
    *) no_arguments "$0" "$1" ;;
  esac
  shift
done

need_commands azd
set_value() { call azd env set "$1" "$2" >/dev/null; }

if $reset; then
  for variable in $EXISTING_VARIABLES EXISTING_STORAGE_LOCATION GPU_PROFILE_NAME FORCE_DELETE; do
    set_value "$variable" ""
  done
  say "Every EXISTING_* variable, GPU_PROFILE_NAME and FORCE_DELETE are cleared; the next azd provision makes new resources."
  exit 0
fi

need_commands az
load_values
need_all AZURE_SUBSCRIPTION_ID
account=$(az_tsv account show --query name)
say "Subscription: $account ($SUBSCRIPTION)"

# choose TITLE NAMES [OTHERWISE]: into CHOICE one of the names, or "" for what Enter means.
choose() {
  local title=$1 names=$2 otherwise=${3:-a new one} name number=0 answer
  CHOICE=
  if [[ -z $names ]]; then
    say "$title: none here; $otherwise"
    return 0
  fi
  say "$title:"
  for name in $names; do
    number=$((number + 1))
    say "  $number) $name"
  done
  while :; do
    read -r -p "number, or Enter for $otherwise: " answer || answer=
    [[ -n $answer ]] || return 0
    if [[ $answer =~ ^[0-9]+$ && $answer -ge 1 && $answer -le $number ]]; then
      # shellcheck disable=SC2086  # names of resources have no spaces
      CHOICE=$(printf '%s\n' $names | sed -n "${answer}p")
      return 0
    fi
    say "1 to $number"
  done
}

lower() { printf '%s' "$1" | tr '[:upper:]' '[:lower:]'; }
region() { lower "$1" | tr -d ' '; } # `Sweden Central` is `swedencentral`

# names_of COMMAND...: of what is in the group of the reused resources.
names_of() { az_tsv "$@" list --resource-group "$place" --query "sort([].name)"; }

if $asked; then
  [[ -t 0 || -n ${ANSWERS_FROM_STDIN:-} ]] || die $REFUSED "no terminal to ask on; name the resources by flags (--help)"
  names=$(az_tsv group list --query "sort([].name)")
  choose "Resource group to deploy into" "$names"
  group=$CHOICE
  choose "Resource group of what is to be reused" "$names" "${group:-nothing to be reused}"
  resources=$CHOICE
  place=${resources:-$group}
  if [[ -n $place ]]; then
    names=$(names_of acr)
    choose "Container registry" "$names"
    acr=$CHOICE
    names=$(names_of storage account)
    choose "Storage account" "$names"
    storage=$CHOICE
    names=$(names_of containerapp env)
    choose "Container Apps environment" "$names"
    environment=$CHOICE
    if [[ -z $environment ]]; then # an existing environment has its logging already
      names=$(names_of monitor log-analytics workspace)
      choose "Log Analytics workspace" "$names"
      workspace=$CHOICE
    fi
  fi
fi
[[ $resources != "$group" ]] || resources=
place=${resources:-$group}
if [[ -z $place ]]; then
  [[ -z $acr$storage$topic$environment$gpu_profile$workspace ]] ||
    die $REFUSED "the other resources are looked for in --resource-group or --resources-group; name it"
  say "Nothing chosen: azd provision makes everything new."
  exit 0
fi
[[ -z $topic || -n $storage ]] || die $REFUSED "--event-grid-topic belongs to a storage account: name it with --storage"

location=$(az_tsv group show --name "${group:-$place}" --query location)
profile=$(value GPU_PROFILE_TYPE)
profile=${profile:-Consumption-GPU-NC8as-T4}
gpu=$(value USE_GPU)
[[ -z $gpu_profile || $gpu != false ]] || die $REFUSED "--gpu-profile has no use with USE_GPU=false"
if [[ -n $resources ]]; then
  az_quiet group show --name "$resources"
fi
if [[ -n $acr ]]; then
  az_quiet acr show --resource-group "$place" --name "$acr"
fi
if [[ -n $workspace ]]; then
  az_quiet monitor log-analytics workspace show --resource-group "$place" --workspace-name "$workspace"
fi

# find_topic ACCOUNT_ID: into FOUND_TOPIC the system topic of the account, "" where it has none yet. It must be one we can use.
find_topic() {
  local topics source where name identity
  FOUND_TOPIC=
  topics=$(az_tsv eventgrid system-topic list --query "[].[source,resourceGroup,name,identity.type]") || return
  while IFS=$'\t' read -r source where name identity; do
    [[ $(lower "$source") == "$(lower "$1")" ]] || continue
    FOUND_TOPIC=$name
    [[ $(lower "$where") == "$(lower "$place")" ]] || die $FAILED "the account's system topic $name is in group $where, not in" \
      "$place, where reused resources are looked for"
    [[ $identity == *SystemAssigned* ]] || die $FAILED "the account's system topic $name has no identity of its own, with which" \
      "it delivers; give it one: az eventgrid system-topic update --resource-group $where --name $name --mi-system-assigned"
  done <<END
$topics
END
}

# look_at_kind: says which kind of account it is, and refuses by name what uploads cannot work in. See docs/deployment.md.
look_at_kind() {
  local row kind hierarchical sftp nfs
  row=$(az_tsv storage account show --resource-group "$place" --name "$storage" \
    --query '[[kind,isHnsEnabled,isSftpEnabled,enableNfsV3]]') || return
  IFS=$'\t' read -r kind hierarchical sftp nfs <<<"$row"
  case $kind in
    Storage) die $FAILED "storage account $storage is of kind Storage (general purpose v1), which raises no events: upgrade it to" \
      "StorageV2, or choose another" ;;
    FileStorage | BlobStorage | BlockBlobStorage) die $FAILED "storage account $storage is of kind $kind, which has not both" \
      "blobs and queues: choose one of kind StorageV2" ;;
  esac
  [[ $(lower "$nfs") != true ]] || die $FAILED "storage account $storage allows NFS 3.0, over which files grow in place and" \
    "raise no events: choose another (mount it with blobfuse or upload over SFTP there)"
  if [[ $(lower "$hierarchical") != true ]]; then
    say "Storage account $storage: flat namespace"
    return 0
  fi
  say "Storage account $storage: hierarchical namespace$([[ $(lower "$sftp") != true ]] || printf ', SFTP')"
  [[ -n $(value UPLOADS_QUEUE) ]] || say "  Uploads that end with a new name are found by the sweep, within minutes; at once with:" \
    "azd env set UPLOADS_QUEUE uploads"
}

storage_location=
if [[ -n $storage ]]; then
  look_at_kind
  account_id=$(az_tsv storage account show --resource-group "$place" --name "$storage" --query id)
  storage_location=$(az_tsv storage account show --resource-group "$place" --name "$storage" --query primaryLocation)
  there=$(az_tsv storage container list --account-name "$storage" --auth-mode login --query '[].name')
  missing=
  for container in $CONTAINERS; do
    name=$(value "AZURE_BLOB_CONTAINER_$(printf '%s' "$container" | tr '[:lower:]' '[:upper:]')")
    contains "$there" "${name:-$container}" || missing="$missing ${name:-$container}"
  done
  find_topic "$account_id"
  if [[ -n $topic && $topic != "$FOUND_TOPIC" ]]; then
    die $FAILED "storage account $storage has the system topic ${FOUND_TOPIC:-of no name yet}, not $topic"
  fi
  topic=$FOUND_TOPIC
  if [[ -n $missing ]] && ! $create; then
    # an account as other guides make it has four of the five
    confirm "Storage account $storage lacks the containers:$missing. Make them?" ||
      die $FAILED "storage account $storage lacks the containers:$missing; make them with --create-containers"
  fi
fi

# find_gpu_profile: into gpu_profile the name of the environment's profile of the type, into second_profile that of the second job.
find_gpu_profile() {
  local profiles name type names='' second
  profiles=$(az_tsv containerapp env show --resource-group "$place" --name "$environment" \
    --query 'properties.workloadProfiles[].[name,workloadProfileType]') || return
  while IFS=$'\t' read -r name type; do
    [[ $type != "$profile" ]] || names="${names:+$names }$name"
    [[ $type != "$(value GPU_PROFILE_FALLBACK)" ]] || second_profile=$name
  done <<END
$profiles
END
  [[ -n $names ]] || die $FAILED "environment $environment has no workload profile of type $profile" \
    "(GPU_PROFILE_TYPE); add one, or choose another environment"
  second=$(value GPU_PROFILE_FALLBACK)
  [[ -z $second || $second == Consumption || -n $second_profile$(value GPU_PROFILE_FALLBACK_LOCATION) ]] ||
    die $FAILED "environment $environment has no workload profile of type $second (GPU_PROFILE_FALLBACK); add one, or take the" \
      "second job to another region (azd env set GPU_PROFILE_FALLBACK_LOCATION REGION)"
  if [[ -n $gpu_profile ]]; then
    contains "$names" "$gpu_profile" || die $FAILED "environment $environment has no profile $gpu_profile of type $profile; it has $names"
  elif [[ $names != *' '* ]]; then
    gpu_profile=$names
  elif $asked; then
    choose "GPU profile" "$names" "the first"
    gpu_profile=${CHOICE:-${names%% *}}
  else
    die $REFUSED "environment $environment has several profiles of type $profile: $names; choose with --gpu-profile"
  fi
}

second_profile=
if [[ -n $environment ]]; then
  location=$(az_tsv containerapp env show --resource-group "$place" --name "$environment" --query location)
  if [[ $gpu != false ]]; then
    find_gpu_profile
  fi
fi
location=$(region "$location")
storage_location=$(region "$storage_location")
[[ $storage_location != "$location" ]] || storage_location=
if [[ $gpu != false && -n $(regions_of "$profile") ]]; then
  contains "$(regions_of "$profile")" "$location" || die $FAILED "$profile is not offered in $location"
fi

# All is well: only now is anything changed.
if [[ -n $storage ]]; then
  for container in $missing; do
    az_quiet storage container create --account-name "$storage" --auth-mode login --name "$container"
    say "created container $container"
  done
fi
set_value EXISTING_RESOURCE_GROUP "$group"
set_value EXISTING_RESOURCES_GROUP "$resources"
set_value EXISTING_ACR_NAME "$acr"
set_value EXISTING_STORAGE_ACCOUNT_NAME "$storage"
set_value EXISTING_STORAGE_LOCATION "$storage_location"
set_value EXISTING_EVENT_GRID_TOPIC_NAME "$topic"
set_value EXISTING_CONTAINER_APPS_ENV_NAME "$environment"
set_value EXISTING_LOG_ANALYTICS_NAME "$workspace"
set_value GPU_PROFILE_NAME "$gpu_profile"
[[ -z $second_profile ]] || set_value GPU_PROFILE_FALLBACK_NAME "$second_profile"
set_value AZURE_LOCATION "$location"
say "azd provision will use: group ${group:-new} ($location), registry ${acr:-new}, storage ${storage:-new}, system topic" \
  "${topic:-new}, environment ${environment:-new}${gpu_profile:+ with GPU profile $gpu_profile}, Log Analytics ${workspace:-new}"
