#!/usr/bin/env bash
# After azd deploy: subscribes the function app to uploads, which is possible only now (infra/eventgrid-subscription.bicep), and gives
# the second job, which azd does not know, the image of the first.
#
#     scripts/hooks/postdeploy.sh        azd runs it; safe to repeat by hand
#
# The key of the webhook is read by the deployment engine; no variable, argument or log of this script ever holds it. A cold
# app refuses Event Grid's handshake: it is woken, and the deployment is tried again. Its last lines, which are those of azd up, say
# what is there, what it costs idle, how to upload, how to look, and how to remove it.
#
# TRIES          deployments of the subscription (10)
# RETRY_DELAY_S  seconds between two (30)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
: "${RETRY_DELAY_S:=30}" "${TRIES:=10}"
ALERT_RULES=4 # of infra/modules/alerts.bicep
. "$here/../lib.sh"
. "$here/../lib-functions.sh"
. "$here/../lib-images.sh"
no_arguments "$0" "$@"

need_commands az azd
load_values
need_all AZURE_SUBSCRIPTION_ID AZURE_RESOURCE_GROUP FUNCTION_APP_NAME EVENT_GRID_TOPIC_NAME EVENT_GRID_TOPIC_RESOURCE_GROUP \
  AZURE_STORAGE_ACCOUNT_NAME STORAGE_RESOURCE_GROUP EVENT_GRID_DEADLETTER_CONTAINER RUNNER_JOB_NAME \
  EVENT_GRID_SUBSCRIPTION_NAME AZURE_BLOB_CONTAINER_INPUT
group=$(need AZURE_RESOURCE_GROUP)
app=$(need FUNCTION_APP_NAME)
topic=$(need EVENT_GRID_TOPIC_NAME)
topic_group=$(need EVENT_GRID_TOPIC_RESOURCE_GROUP)
account=$(need AZURE_STORAGE_ACCOUNT_NAME)
account_group=$(need STORAGE_RESOURCE_GROUP)
input=$(deployed AZURE_BLOB_CONTAINER_INPUT)
dead_letters=$(need EVENT_GRID_DEADLETTER_CONTAINER)
job=$(need RUNNER_JOB_NAME)
subscription=$(need EVENT_GRID_SUBSCRIPTION_NAME)
queue=$(deployed UPLOADS_QUEUE)
kind=() # what the template has to know of a reused account; one of ours has no hierarchical namespace
if [[ -n $(value EXISTING_STORAGE_ACCOUNT_NAME) ]]; then
  hierarchical=$(az_tsv storage account show --resource-group "$account_group" --name "$account" --query isHnsEnabled) ||
    warn "whether $account has a hierarchical namespace cannot be read; uploads over SFTP are found by the sweep"
  [[ ${hierarchical:-} != true ]] || kind=(hierarchical=true)
fi

subscribe() {
  local host
  [[ -z $queue ]] || { deploy_subscription "uploadsQueue=$queue" ${kind[@]+"${kind[@]}"}; return; }
  host=$(az_tsv resource show --resource-group "$group" --name "$app" --resource-type Microsoft.Web/sites \
    --query properties.defaultHostName) || return
  # any answer wakes it; none is no reason to give up
  curl --silent --output /dev/null --max-time 60 "https://$host/" || say "$app does not answer yet"
  deploy_subscription ${kind[@]+"${kind[@]}"}
}

# deploy_subscription [PARAMETER...]
deploy_subscription() {
  CALL_TIMEOUT_S=600 az_quiet deployment group create --resource-group "$topic_group" --name "$subscription" \
    --template-file "$ROOT/infra/eventgrid-subscription.bicep" --parameters "name=$subscription" "topicName=$topic" \
    "functionAppName=$app" "functionAppGroupName=$group" "storageAccountName=$account" \
    "storageAccountGroupName=$account_group" "inputContainer=$input" "deadLetterContainer=$dead_letters" "$@"
}

say "Subscribing $app to uploads into $account/$input..."
code=0
retry "$TRIES" subscribe || code=$?
[[ $code -eq 0 ]] || die "$code" "uploads raise no jobs yet (the sweep finds them every few minutes); when the cause above is" \
  "gone: azd hooks run postdeploy"

need_functions "$group" "$app" "$queue"

second=$(value RUNNER_FALLBACK_JOB_NAME)
image=$(retry 3 az_tsv containerapp job show --resource-group "$group" --name "$job" \
  --query 'properties.template.containers[0].image') || image=
if is_placeholder "$image"; then
  warn "$job still has the image that does nothing: azd deploy runner, or scripts/deploy-job.sh"
elif [[ -n $second ]]; then
  code=0
  [[ -z $image ]] || retry 3 az_quiet containerapp job update --resource-group "$group" --name "$second" --image "$image" || code=$?
  [[ -n $image && $code -eq 0 ]] || die $BROKEN "$second keeps the image it had, and is given no work while that is the one that" \
    "does nothing; when the cause above is gone: azd hooks run postdeploy"
  say "$second has the image of $job."
fi

# name KIND VARIABLE: a line of what is there; of what was there before, it says so.
name() {
  local found
  found=$(value "$2")
  [[ -n $found ]] || return 0
  if contains "$(value REUSED_RESOURCES)" "$found"; then found="$found (reused)"; fi
  say "    $1: $found"
}

idle="the registry, what is stored, $ALERT_RULES log-alert rules, a sweep every few minutes"
[[ $(value PRIVATE_NETWORKING) != true ]] || idle="$idle, private endpoints"
ready=$(value ALWAYS_READY_INSTANCES)
[[ ${ready:-0} == 0 ]] || idle="$idle, and twice $ready always-ready instances of the function app"
minutes=$(value MAX_GPU_MINUTES_PER_DAY)

say "Ready. What is there:"
name "resource group" AZURE_RESOURCE_GROUP
name "function app" FUNCTION_APP_NAME
name "job" RUNNER_JOB_NAME
name "job for days on which that one gets no machine" RUNNER_FALLBACK_JOB_NAME
name "registry" AZURE_CONTAINER_REGISTRY_NAME
name "storage of the videos" AZURE_STORAGE_ACCOUNT_NAME
name "storage of the function app" FUNCTION_STORAGE_ACCOUNT_NAME
name "event topic" EVENT_GRID_TOPIC_NAME
name "logs" APPLICATION_INSIGHTS_NAME
say "Idle it costs $idle; no GPU. What that is a month: docs/cost.md"
say "At most ${minutes:-600} minutes of executions a day (0: no limit). To raise it: azd env set MAX_GPU_MINUTES_PER_DAY 1200," \
  "azd provision"
say "Upload videos of one scene into one folder of $account/$input:"
say "    az storage blob upload-batch --subscription $SUBSCRIPTION --auth-mode login --account-name $account --destination $input/my-scene --source FOLDER"
say "Look how far it is, and fetch the result:"
say "    export AZURE_STORAGE_ACCOUNT=$account"
say "    scenejobs status my-scene --wait"
say "    scenejobs download my-scene out/my-scene"
say "Remove what this environment made, scenes and archives with it:"
say "    scripts/teardown.sh"
