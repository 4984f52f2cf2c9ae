#!/usr/bin/env bash
# Before azd provision: is the region one with the GPU, who deploys, may they assign roles, which image does the job have.
#
#     scripts/hooks/preprovision.sh      azd runs it
#
# Sets DEPLOYER_PRINCIPAL_ID, DEPLOYER_PRINCIPAL_TYPE, SERVICE_RUNNER_IMAGE_NAME and empty objects of the azd environment. Stops provisioning only
# where it would end badly: a region without the GPU (SKIP_REGION_CHECK=true goes on, the list may be old), and a job whose image
# cannot be read, which would be replaced by the placeholder. About roles and providers it only warns.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"
case ${1:-} in
  -h | --help) usage "$0"; exit 0 ;;
  ?*) die $REFUSED "unknown argument $1; see $SCRIPT --help" ;;
esac

need_commands az azd
load_values
need_all AZURE_SUBSCRIPTION_ID
set_value() { call azd env set "$1" "$2" >/dev/null; }

check_region() {
  local location profile
  location=$(value AZURE_LOCATION)
  profile=$(value GPU_PROFILE_TYPE)
  profile=${profile:-Consumption-GPU-NC8as-T4}
  [[ -n $location && $(value USE_GPU) != false ]] || return 0
  contains "$(regions_of "$profile" | tr '\n' ' ')" "$location" && return 0
  if [[ $(value SKIP_REGION_CHECK) == true ]]; then
    warn "$profile is not known to be offered in $location; going on (SKIP_REGION_CHECK)"
    return 0
  fi
  die $REFUSED "$profile is not known to be offered in $location. Choose one of: $(regions_of "$profile" | tr '\n' ' ')" \
    "(azd env set AZURE_LOCATION ...); or azd env set USE_GPU false; or, if the list is old, azd env set SKIP_REGION_CHECK true"
}

# Who deploys: azd knows it too, but not in every kind of sign-in, and writes whoever is signed in over AZURE_PRINCIPAL_ID.
record_deployer() {
  local kind id name
  [[ -z $(value DEPLOYER_PRINCIPAL_ID) ]] || return 0
  kind=$(az_tsv account show --query user.type) || { warn "the deployer is not known; they get no roles"; return 0; }
  if [[ $kind == user ]]; then
    id=$(az_tsv ad signed-in-user show --query id) || id=
    kind=User
  else
    name=$(az_tsv account show --query user.name) || name=
    id=$(az_tsv ad sp show --id "$name" --query id) || id=
    kind=ServicePrincipal
  fi
  if [[ -z $id ]]; then
    warn "the deployer's object id cannot be read; set DEPLOYER_PRINCIPAL_ID, or they get no roles"
    return 0
  fi
  set_value DEPLOYER_PRINCIPAL_ID "$id"
  set_value DEPLOYER_PRINCIPAL_TYPE "$kind"
  AZD_VALUES="$AZD_VALUES
DEPLOYER_PRINCIPAL_ID=\"$id\""
  say "Deployer: $kind $id"
}

check_rights() {
  local id roles
  id=$(value DEPLOYER_PRINCIPAL_ID)
  [[ -n $id && $(value INCLUDE_RBAC) != false ]] || return 0
  roles=$(az_tsv role assignment list --assignee "$id" --scope "/subscriptions/$SUBSCRIPTION" --include-inherited \
    --include-groups --query '[].roleDefinitionName') || { warn "the deployer's roles cannot be read; going on"; return 0; }
  case $roles in
    *Owner* | *"User Access Administrator"* | *"Role Based Access Control Administrator"*) return 0 ;;
  esac
  warn "the deployer is not seen to have a role that may assign roles (Owner, User Access Administrator). If provisioning is" \
    "refused: azd env set INCLUDE_RBAC false, and let a privileged person run scripts/assign-rbac.sh after it"
}

register_providers() {
  local registered provider
  registered=$(az_tsv provider list --query "[?registrationState=='Registered'].namespace") || {
    warn "the subscription's providers cannot be read; going on"
    return 0
  }
  for provider in Microsoft.App Microsoft.ContainerRegistry Microsoft.EventGrid Microsoft.Insights \
    Microsoft.ManagedIdentity Microsoft.Network Microsoft.OperationalInsights Microsoft.Storage Microsoft.Web; do
    contains "$(printf '%s' "$registered" | tr '\n' ' ')" "$provider" && continue
    say "Registering $provider..."
    CALL_TIMEOUT_S=600 az_quiet provider register --namespace "$provider" --wait ||
      warn "$provider could not be registered; a person with rights on the subscription has to: az provider register --subscription $SUBSCRIPTION"
  done
}

# The job keeps what it runs: a fresh clone or another machine knows no SERVICE_RUNNER_IMAGE_NAME.
keep_image() {
  local environment image recorded code=0
  environment=$(value AZURE_ENV_NAME)
  [[ -n $environment ]] || return 0
  image=$(az_tsv resource list --resource-type Microsoft.App/jobs --tag "azd-env-name=$environment" --query '[].id') || code=$?
  if [[ $code -eq 0 && -z $image && -n $(value RUNNER_JOB_NAME) && -n $(value AZURE_RESOURCE_GROUP) ]]; then
    # A list shows only what somebody may see: the job is gone when it is not found by its own name either.
    image=$(az_tsv containerapp job show --resource-group "$(value AZURE_RESOURCE_GROUP)" --name "$(value RUNNER_JOB_NAME)" \
      --query id) || code=$?
    [[ $code -ne $FAILED ]] || code=0
  fi
  if [[ $code -eq 0 && -n $image ]]; then
    # one job per environment; of more the first, as azd does
    image=$(az_tsv containerapp job show --ids "${image%%[[:space:]]*}" \
      --query 'properties.template.containers[0].image') || code=$?
  fi
  if [[ $code -ne 0 ]]; then
    [[ -n $(value SERVICE_RUNNER_IMAGE_NAME) ]] && { warn "the job's image cannot be read; keeping the recorded one"; return 0; }
    die "$code" "whether the job has an image already cannot be read, and provisioning would replace it; nothing was changed"
  fi
  recorded=$(value SERVICE_RUNNER_IMAGE_NAME)
  if [[ -z $image && $recorded == *.azurecr.* ]]; then
    # azd down keeps the variable. The registry is gone or the new job's identity has no role there yet: it could not be made.
    set_value SERVICE_RUNNER_IMAGE_NAME ""
    say "There is no job that runs $recorded: a new one gets the image that does nothing until azd deploy."
    return 0
  fi
  [[ -n $image && $image != "$recorded" ]] || return 0
  set_value SERVICE_RUNNER_IMAGE_NAME "$image"
  say "The job keeps its image $image."
}

# azd takes a variable that is not set as no value, but an empty one as JSON, and stops.
empty_is_no_object() {
  local name
  for name in RUNNER_SETTINGS DISPATCHER_SETTINGS; do
    if printf '%s\n' "$AZD_VALUES" | grep -q "^$name=\(\"\"\)\{0,1\}\$"; then
      set_value "$name" '{}'
    fi
  done
}

check_region
empty_is_no_object
record_deployer
check_rights
register_providers
keep_image
