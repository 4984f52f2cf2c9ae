#!/usr/bin/env bash
# Gives the deployment's identities the roles of scripts/roles.tsv. For an Owner or User Access Administrator; azd provision
# with INCLUDE_RBAC=false leaves this to them. Safe to repeat: what is assigned already stays.
#
#     scripts/assign-rbac.sh [--use-bicep]
#
# --use-bicep   by the deployment's own role module (infra/roles.bicep) instead of one call per role
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/lib.sh"
. "$here/lib-roles.sh"

bicep=false
while [[ $# -gt 0 ]]; do
  case $1 in
    --use-bicep) bicep=true ;;
    *) no_arguments "$0" "$1" ;;
  esac
  shift
done

need_commands az
load_values

assign() {
  local identity=$1 principal=$2 where=$3 scope=$4 role=$5 id=$6 found
  found=$(assigned "$principal" "$scope" "$id") || return
  if [[ -n $found ]]; then
    say "  = $identity: $role on $where"
    return 0
  fi
  # A principal that was created a moment ago is not known everywhere yet.
  retry 5 az_quiet role assignment create --assignee-object-id "$principal" \
    --assignee-principal-type "$(principal_type_of "$identity")" --role "$id" --scope "$scope" || return
  say "  + $identity: $role on $where"
}

if $bicep; then
  template=$ROOT/infra/roles.bicep
  [[ -f $template ]] || die $REFUSED "$template does not exist"
  need_all AZURE_SUBSCRIPTION_ID AZURE_RESOURCE_GROUP AZURE_ENV_NAME MANAGED_IDENTITY_PRINCIPAL_ID DISPATCHER_PRINCIPAL_ID \
    AZURE_STORAGE_ACCOUNT_NAME AZURE_CONTAINER_REGISTRY_NAME RUNNER_JOB_NAME EVENT_GRID_PRINCIPAL_ID \
    FUNCTION_STORAGE_ACCOUNT_NAME APPLICATION_INSIGHTS_NAME
  # each on a line of its own: a failure inside the arguments of a command would not stop the script
  group=$(need AZURE_RESOURCE_GROUP)
  environment=$(need AZURE_ENV_NAME)
  runner=$(need MANAGED_IDENTITY_PRINCIPAL_ID)
  dispatcher=$(need DISPATCHER_PRINCIPAL_ID)
  account=$(need AZURE_STORAGE_ACCOUNT_NAME)
  registry=$(need AZURE_CONTAINER_REGISTRY_NAME)
  job=$(need RUNNER_JOB_NAME)
  events=$(need EVENT_GRID_PRINCIPAL_ID)
  host=$(need FUNCTION_STORAGE_ACCOUNT_NAME)
  insights=$(need APPLICATION_INSIGHTS_NAME)
  parameters=("runnerPrincipalId=$runner" "dispatcherPrincipalId=$dispatcher" "eventsPrincipalId=$events"
    "webPrincipalId=$(value WEB_PRINCIPAL_ID)" "deployerPrincipalId=$(deployer_id)" "deployerPrincipalType=$(principal_type_of deployer)"
    "operatorsPrincipalId=$(value OPERATORS_PRINCIPAL_ID)" "operatorsPrincipalType=$(principal_type_of operators)"
    "storageAccountName=$account" "functionStorageAccountName=$host" "registryName=$registry"
    "applicationInsightsName=$insights" "jobName=$job")
  # What has a default in the template, where the deployment has another value.
  while read -r parameter variable; do
    other=$(deployed "$variable")
    [[ -z $other ]] || parameters+=("$parameter=$other")
  done <<END
storageAccountGroupName STORAGE_RESOURCE_GROUP
fallbackJobName RUNNER_FALLBACK_JOB_NAME
registryGroupName REGISTRY_RESOURCE_GROUP
inputContainer AZURE_BLOB_CONTAINER_INPUT
outputContainer AZURE_BLOB_CONTAINER_OUTPUT
processedContainer AZURE_BLOB_CONTAINER_PROCESSED
errorContainer AZURE_BLOB_CONTAINER_ERROR
stateContainer AZURE_BLOB_CONTAINER_STATE
deadLetterContainer EVENT_GRID_DEADLETTER_CONTAINER
debounceQueue DEBOUNCE_QUEUE
jobsQueue JOBS_QUEUE
uploadsQueue UPLOADS_QUEUE
END
  CALL_TIMEOUT_S=${BICEP_TIMEOUT_S:-900} az_quiet deployment group create --resource-group "$group" \
    --name "roles-${environment:0:58}" --template-file "$template" --parameters "${parameters[@]}"
  say "Roles assigned by $(basename "$template"). Check with scripts/verify-rbac.sh."
  exit 0
fi

say "Assigning roles..."
find_resources
for_each_role assign
if [[ $ROLES_FAILED -gt 0 ]]; then
  warn "$ROLES_FAILED role(s) could not be assigned; only an Owner or User Access Administrator of the scope can"
  exit "$ROLES_CODE"
fi
say "All roles are assigned. They can take some minutes to be known everywhere; check with scripts/verify-rbac.sh."
