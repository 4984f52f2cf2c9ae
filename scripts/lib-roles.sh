# The roles of scripts/roles.tsv and the scopes they are given on; sourced after lib.sh.
# shellcheck shell=bash

ROLES=${ROLES_FILE:-$ROOT/scripts/roles.tsv}
TAB=$(printf '\t')

# Found once, since every look-up is a call: the resource ids the scopes are made of.
ACCOUNT_ID='' REGISTRY_ID='' HOST_ID='' JOB_ID='' FALLBACK_ID='' INSIGHTS_ID=''

# resource_id VARIABLE COMMAND...: into RESOURCE_ID; "" where the deployment has no such thing.
resource_id() {
  local name code=0
  RESOURCE_ID=
  name=$(value "$1")
  shift
  [[ -n $name ]] || return 0
  RESOURCE_ID=$(az_tsv "$@" --name "$name" --query id) || code=$?
  [[ $code -ne $FAILED || -z ${REMOVING:-} ]] || code=0
  return "$code"
}

find_resources() {
  local group
  if [[ -n ${REMOVING:-} ]]; then
    need_all AZURE_SUBSCRIPTION_ID AZURE_RESOURCE_GROUP
  else
    need_all AZURE_SUBSCRIPTION_ID AZURE_RESOURCE_GROUP AZURE_STORAGE_ACCOUNT_NAME MANAGED_IDENTITY_PRINCIPAL_ID \
      DISPATCHER_PRINCIPAL_ID EVENT_GRID_PRINCIPAL_ID
  fi
  group=$(need AZURE_RESOURCE_GROUP)
  resource_id AZURE_STORAGE_ACCOUNT_NAME storage account show || return
  ACCOUNT_ID=$RESOURCE_ID
  resource_id AZURE_CONTAINER_REGISTRY_NAME acr show || return
  REGISTRY_ID=$RESOURCE_ID
  resource_id FUNCTION_STORAGE_ACCOUNT_NAME storage account show || return
  HOST_ID=$RESOURCE_ID
  resource_id RUNNER_JOB_NAME containerapp job show --resource-group "$group" || return
  JOB_ID=$RESOURCE_ID
  resource_id RUNNER_FALLBACK_JOB_NAME containerapp job show --resource-group "$group" || return
  FALLBACK_ID=$RESOURCE_ID
  resource_id APPLICATION_INSIGHTS_NAME resource show --resource-group "$group" \
    --resource-type Microsoft.Insights/components || return
  INSIGHTS_ID=$RESOURCE_ID
}

# scope_of WHERE: the resource id, "" for what this deployment has not got. While roles are
# removed also what an earlier choice of UPLOADS_QUEUE had.
scope_of() {
  local name
  case $1 in
    account | container:* | queue:*) [[ -n $ACCOUNT_ID ]] || return 0 ;;
  esac
  case $1 in
    registry) printf '%s' "$REGISTRY_ID" ;;
    host) printf '%s' "$HOST_ID" ;;
    account) printf '%s' "$ACCOUNT_ID" ;;
    job) printf '%s' "$JOB_ID" ;;
    fallback) printf '%s' "$FALLBACK_ID" ;;
    insights) printf '%s' "$INSIGHTS_ID" ;;
    container:eventgrid-deadletter)
      name=$(value EVENT_GRID_DEADLETTER_CONTAINER)
      printf '%s/blobServices/default/containers/%s' "$ACCOUNT_ID" "${name:-eventgrid-deadletter}" ;;
    container:*)
      name=${1#container:}
      name=$(deployed "AZURE_BLOB_CONTAINER_$(printf '%s' "$name" | tr '[:lower:]' '[:upper:]')")
      printf '%s/blobServices/default/containers/%s' "$ACCOUNT_ID" "${name:-${1#container:}}" ;;
    queue:debounce*) printf '%s/queueServices/default/queues/%s' "$ACCOUNT_ID" "$(queue_name DEBOUNCE_QUEUE debounce "$1")" ;;
    queue:jobs*) printf '%s/queueServices/default/queues/%s' "$ACCOUNT_ID" "$(queue_name JOBS_QUEUE jobs "$1")" ;;
    queue:uploads*)
      name=$(deployed UPLOADS_QUEUE)
      [[ -z $name ]] || printf '%s/queueServices/default/queues/%s' "$ACCOUNT_ID" "$(queue_name UPLOADS_QUEUE uploads "$1")" ;;
    queue:webjobs-*)
      [[ -n $(deployed UPLOADS_QUEUE) && -z ${REMOVING:-} ]] || printf '%s/queueServices/default/queues/%s' "$ACCOUNT_ID" "${1#queue:}" ;;
    *) die "$REFUSED" "roles.tsv: unknown place $1" ;;
  esac
}

# queue_name VARIABLE DEFAULT WHERE: the name as configured, with the ending that WHERE has.
queue_name() {
  local name
  name=$(deployed "$1")
  printf '%s%s' "${name:-$2}" "${3#"queue:$2"}"
}

# principal_of IDENTITY: its object id, "" where it is not known.
principal_of() {
  case $1 in
    runner) value MANAGED_IDENTITY_PRINCIPAL_ID ;;
    dispatcher) value DISPATCHER_PRINCIPAL_ID ;;
    web) value WEB_PRINCIPAL_ID ;;
    events) value EVENT_GRID_PRINCIPAL_ID ;;
    deployer) deployer_id ;;
    operators) value OPERATORS_PRINCIPAL_ID ;;
  esac
}

# deployer_id: azd overwrites AZURE_PRINCIPAL_ID with whoever is signed in; environments of before have no other.
deployer_id() {
  local found
  found=$(value DEPLOYER_PRINCIPAL_ID)
  [[ -n $found ]] || found=$(value AZURE_PRINCIPAL_ID)
  printf '%s' "$found"
}

principal_type_of() {
  local kind
  case $1 in
    deployer)
      kind=$(value DEPLOYER_PRINCIPAL_TYPE)
      [[ -n $kind ]] || kind=$(value AZURE_PRINCIPAL_TYPE)
      printf '%s' "${kind:-User}" ;;
    operators)
      kind=$(value OPERATORS_PRINCIPAL_TYPE)
      printf '%s' "${kind:-Group}" ;;
    *) printf 'ServicePrincipal' ;;
  esac
}

# for_each_role FUNCTION: calls it with identity, principal, where, scope, role and role id; in ROLES_FAILED counts failures.
for_each_role() {
  local identity where role id _why principal scope code
  ROLES_FAILED=0 ROLES_CODE=0
  while IFS=$TAB read -r identity where role id _why <&3; do
    [[ -z $identity || $identity == \#* ]] && continue
    principal=$(principal_of "$identity")
    scope=$(scope_of "$where")
    if [[ -z $principal || -z $scope ]]; then
      [[ $identity == deployer || $identity == operators || $identity == web || -z $scope ]] || die "$REFUSED" "no principal id of the $identity: run azd provision first"
      continue
    fi
    code=0
    "$1" "$identity" "$principal" "$where" "$scope" "$role" "$id" || code=$?
    if [[ $code -ne 0 ]]; then
      ROLES_FAILED=$((ROLES_FAILED + 1))
      [[ $code -gt $ROLES_CODE ]] && ROLES_CODE=$code
    fi
  done 3<"$ROLES"
  return 0
}

# role_id NAME: of a role that the table has.
role_id() {
  local found
  found=$(awk -F "$TAB" -v name="$1" '$3 == name { print $4; exit }' "$ROLES")
  [[ -n $found ]] || die "$REFUSED" "roles.tsv has no role $1"
  printf '%s' "$found"
}

# assigned PRINCIPAL SCOPE ROLE_ID: ids of assignments of exactly this scope; az compares it whatever its case.
assigned() {
  az_tsv role assignment list --assignee-object-id "$1" --scope "$2" --role "$3" --fill-principal-name false --query '[].id'
}

# covered PRINCIPAL SCOPE ROLE_ID: like assigned; one on a parent scope or of a group counts too, for that is what decides
# access.
covered() {
  az_tsv role assignment list --assignee-object-id "$1" --scope "$2" --role "$3" --fill-principal-name false \
    --include-inherited --include-groups --query '[].id'
}
