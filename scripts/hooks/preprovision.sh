#!/usr/bin/env bash
# Before azd provision: is the region one with the GPU, is there quota for it, may the registry build, who deploys, may they assign roles, which image does the job have.
#
#     scripts/hooks/preprovision.sh      azd runs it
#
# Sets DEPLOYER_PRINCIPAL_ID, DEPLOYER_PRINCIPAL_TYPE, SERVICE_RUNNER_IMAGE_NAME and empty objects of the azd environment. Stops provisioning only
# where it would end badly: a region without the GPU (SKIP_REGION_CHECK=true goes on, the list may be old), no quota for it there
# (SKIP_QUOTA_CHECK=true goes on), the same for the second job (GPU_PROFILE_FALLBACK) or one that could not help, settings of the older guide that nothing reads, and a job whose image cannot be read, which would be
# replaced by the placeholder. About roles, providers and free credit it only warns, and what cannot be read stops nothing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"
no_arguments "$0" "$@"

need_commands az azd
load_values
need_all AZURE_SUBSCRIPTION_ID
set_value() { call azd env set "$1" "$2" >/dev/null; }

# check_profile PROFILE REGION OF WHERE: is it offered there, as far as is known. OF and WHERE: variables that choose another.
check_profile() {
  local regions
  [[ $1 != Consumption ]] || return 0
  regions=$(regions_of "$1" | tr '\n' ' ')
  if [[ -z $regions ]]; then
    case $(value GPU_PROFILE_SIZES) in
      *"$1"*) warn "in which regions $1 is offered is not known here; going on" ;;
      *) die $REFUSED "how large $1 ($3) is is not known here. A spelling mistake? Known: Consumption-GPU-NC8as-T4, Consumption-GPU-NC24-A100." \
        "If not, with its own numbers: azd env set GPU_PROFILE_SIZES '{\"$1\": {\"cpu\": \"24\", \"memory\": \"220Gi\"}}'" ;;
    esac
    return 0
  fi
  contains "$regions" "$2" && return 0
  if [[ $(value SKIP_REGION_CHECK) == true ]]; then
    warn "$1 is not known to be offered in $2; going on (SKIP_REGION_CHECK)"
    return 0
  fi
  die $REFUSED "$1 ($3) is not known to be offered in $2. Choose one of: $regions" \
    "(azd env set $4 ...); or another profile (azd env set $3 ...); or azd env set USE_GPU false; or, if the list is old," \
    "azd env set SKIP_REGION_CHECK true"
}

# Of the job and of the fallback job.
check_region() {
  local location profile second elsewhere
  location=$(value AZURE_LOCATION)
  profile=$(value GPU_PROFILE_TYPE)
  profile=${profile:-Consumption-GPU-NC8as-T4}
  second=$(value GPU_PROFILE_FALLBACK)
  elsewhere=$(value GPU_PROFILE_FALLBACK_LOCATION)
  if [[ -n $second ]]; then
    [[ $(value USE_GPU) != false ]] || refuse_fallback "the job has no GPU to wait for (USE_GPU=false)"
    [[ -z $elsewhere || $(value PRIVATE_NETWORKING) != true ]] ||
      refuse_fallback "the network of PRIVATE_NETWORKING is in one region: azd env set GPU_PROFILE_FALLBACK_LOCATION \"\""
    [[ -n $elsewhere || $second != "$profile" ]] ||
      refuse_fallback "the same profile in the same region is no help: another one, or azd env set GPU_PROFILE_FALLBACK_LOCATION REGION"
    [[ -n $elsewhere || $second == Consumption || $(fallback_name) != "$(profile_name)" ]] ||
      refuse_fallback "both profiles are called $(profile_name): azd env set GPU_PROFILE_FALLBACK_NAME gpu-fallback"
  fi
  [[ -n $location && $(value USE_GPU) != false ]] || return 0
  check_profile "$profile" "$location" GPU_PROFILE_TYPE AZURE_LOCATION
  [[ -z $second ]] || check_profile "$second" "${elsewhere:-$location}" GPU_PROFILE_FALLBACK GPU_PROFILE_FALLBACK_LOCATION
}

profile_name() { value GPU_PROFILE_NAME | grep . || printf gpu; }
fallback_name() { value GPU_PROFILE_FALLBACK_NAME | grep . || printf gpu-fallback; }

refuse_fallback() { die $REFUSED "GPU_PROFILE_FALLBACK=$(value GPU_PROFILE_FALLBACK): $*; or no second job: azd env set GPU_PROFILE_FALLBACK \"\""; }

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

# quota_of PROFILE REGION OF WHERE: the subscription's quota, as far as the profile is one whose counter is known.
quota_of() {
  local counter limit
  case $1 in
    Consumption-GPU-*T4) counter=SubscriptionConsumptionT4Gpus ;;
    Consumption-GPU-*A100) counter=SubscriptionConsumptionNCA100Gpus ;;
    *) return 0 ;;
  esac
  limit=$(az_tsv rest --method get --query "value[?name.value=='$counter'].limit" \
    --url "/subscriptions/$SUBSCRIPTION/providers/Microsoft.App/locations/$2/usages?api-version=2025-01-01") || {
    warn "the GPU quota in $2 cannot be read; going on"
    return 0
  }
  [[ $limit == 0 || $limit == 0.0 ]] || return 0 # "" where the counter is not told
  if [[ $(value SKIP_QUOTA_CHECK) == true ]]; then
    warn "this subscription has no quota for $1 in $2; going on (SKIP_QUOTA_CHECK)"
    return 0
  fi
  die $REFUSED "this subscription has no quota for $1 in $2 ($counter is 0), so that no job would ever start there." \
    "Ask for it (portal: Quotas, Container Apps, which takes a day or more); or take another region or GPU" \
    "(azd env set $4 ..., azd env set $3 ...); or azd env set USE_GPU false; or, if you know better," \
    "azd env set SKIP_QUOTA_CHECK true"
}

# After the registration of Microsoft.App, which answers nobody before. The environment of somebody else has a region of its own.
check_quota() {
  local location profile second elsewhere
  location=$(value AZURE_LOCATION)
  profile=$(value GPU_PROFILE_TYPE)
  second=$(value GPU_PROFILE_FALLBACK)
  elsewhere=$(value GPU_PROFILE_FALLBACK_LOCATION)
  [[ -n $location && $(value USE_GPU) != false ]] || return 0
  if [[ -z $(value EXISTING_CONTAINER_APPS_ENV_NAME) ]]; then
    quota_of "${profile:-Consumption-GPU-NC8as-T4}" "$location" GPU_PROFILE_TYPE AZURE_LOCATION
  fi
  if [[ -n $elsewhere || -z $(value EXISTING_CONTAINER_APPS_ENV_NAME) ]]; then
    quota_of "$second" "${elsewhere:-$location}" GPU_PROFILE_FALLBACK GPU_PROFILE_FALLBACK_LOCATION
  fi
}

# Registries build nothing for free credit ("TasksOperationsNotAllowed"). Told before an hour goes by; no reason to stop, since
# Microsoft allows it again for some, and the offer is told late after a change.
check_builds() {
  local offer
  offer=$(az_tsv rest --method get --url "/subscriptions/$SUBSCRIPTION?api-version=2022-12-01" --query subscriptionPolicies.quotaId) || {
    warn "the subscription's offer cannot be read; going on"
    return 0
  }
  case $offer in
    FreeTrial_* | AzureForStudents_* | AzurePass_* | DreamSpark_*)
      warn "this subscription is paid by free credit ($offer), for which registries build no images as a rule. azd deploy then stops" \
        "and prints the commands that build and push them from a machine with Docker (docs/images.md, Without builds in the registry)" ;;
  esac
}

# The job keeps what it runs: a fresh clone or another machine knows no SERVICE_RUNNER_IMAGE_NAME.
keep_image() {
  local environment image recorded code=0
  environment=$(value AZURE_ENV_NAME)
  [[ -n $environment ]] || return 0
  # az takes no other filter beside --tag
  # the first job alone has the tag by which azd finds it
  image=$(retry 3 az_tsv resource list --tag "azd-env-name=$environment" --query "[?tags.\"azd-service-name\"=='runner'].id") || code=$?
  image=$(printf '%s\n' "$image" | grep -i '/providers/Microsoft\.App/jobs/' || true)
  if [[ $code -eq 0 && -z $image && -n $(value RUNNER_JOB_NAME) && -n $(value AZURE_RESOURCE_GROUP) ]]; then
    # A list shows only what somebody may see: the job is gone when it is not found by its own name either.
    image=$(az_tsv containerapp job show --resource-group "$(value AZURE_RESOURCE_GROUP)" --name "$(value RUNNER_JOB_NAME)" \
      --query id) || code=$?
    [[ $code -ne $FAILED ]] || code=0
  fi
  if [[ $code -eq 0 && -n $image ]]; then
    image=$(retry 3 az_tsv containerapp job show --ids "${image%%[[:space:]]*}" \
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
  for name in RUNNER_SETTINGS DISPATCHER_SETTINGS FALLBACK_SETTINGS GPU_PROFILE_SIZES; do
    if printf '%s\n' "$AZD_VALUES" | grep "^$name=\(\"\"\)\{0,1\}\$" >/dev/null; then  # not -q: who writes to it would be killed
      set_value "$name" '{}'
    fi
  done
}

# The page has to know who asks, and a function app that hears nobody serves no page.
check_web() {
  local auth
  [[ $(value WEB) == true ]] || return 0
  auth=$(value WEB_AUTH)
  case ${auth:-entra} in
    entra)
      [[ -n $(value WEB_ENTRA_CLIENT_ID) ]] || die $REFUSED "WEB=true needs the Entra application that people sign in to: scripts/register-web-app.sh makes it (docs/web.md)." \
        "Or azd env set WEB_ENTRA_CLIENT_ID ID of one that is there; or, for whoever has the function's key: azd env set WEB_AUTH keys" ;;
    keys) ;;
    *) die $REFUSED "WEB_AUTH=$auth: use entra or keys (local is for the emulator)" ;;
  esac
  [[ $(value RESTRICT_INBOUND) == true ]] || return 0
  [[ -n $(value UPLOADS_QUEUE) && -n $(value WEB_ADDRESSES) ]] ||
    die $REFUSED "WEB=true with RESTRICT_INBOUND=true: nobody would reach the page, and who may is not named. Event Grid then delivers into a queue:" \
      "azd env set UPLOADS_QUEUE uploads; azd env set WEB_ADDRESSES 198.51.100.0/24,203.0.113.7/32 (yours); or azd env set RESTRICT_INBOUND false"
}

# What the older guide sets and nothing here reads; with what to use instead: scenejobs/settings/older.py.
OLDER="RECONSTRUCTION_BACKEND COLMAP_USE_CPU GAUSSIAN_SPLATTING_BIN TDGS_CPP_BIN"

# A variable of the azd environment that no template reads would be dropped without a word; in the JSON objects it stops the programs.
refuse_older() {
  local name found='' set
  # one line for each setting; COLMAP is what runs
  set=$(printf '%s\n' "$AZD_VALUES" | grep -v '=""$' | sed 's/RECONSTRUCTION_BACKEND[\": =]*colmap//g' || true)
  for name in $OLDER; do
    if printf '%s\n' "$set" | grep -E -e "^$name=." -e "^(RUNNER|DISPATCHER|FALLBACK)_SETTINGS=.*[^A-Z_]${name}[^A-Z_]" >/dev/null; then
      found="$found $name"
    fi
  done
  [[ -z $found ]] || die $REFUSED "not read by anything here:$found. docs/configuration.md (settings of the older guide) says what to use" \
    "instead; take each out: azd env set NAME \"\", or out of RUNNER_SETTINGS, DISPATCHER_SETTINGS, FALLBACK_SETTINGS"
}

check_region
check_web
refuse_older
empty_is_no_object
record_deployer
check_rights
register_providers
check_quota
check_builds
keep_image
