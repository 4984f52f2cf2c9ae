#!/usr/bin/env bash
# Starts an execution of the runner's job. Uploads start one by themselves; this is for doing it by hand.
#
#     scripts/run-job.sh [--scene NAME] [--fallback] [--wait] [--logs] [--timeout SECONDS]
#
# --scene NAME       first puts this scene into the job queue (the job itself is never edited); else the execution takes
#                    what waits there
# --fallback         in the second job (GPU_PROFILE_FALLBACK)
# --wait             first for uploads that are still arriving (QUIET_SECONDS after the last they are a job), then until the
#                    execution ended; the exit code is the execution's: 0 it succeeded, 1 it did not
# --logs             waits, then shows the scene's run.log, or what Log Analytics has of the execution
# --timeout SECONDS  longest wait (14400); then exit code 3, and the execution goes on
#
# Where nothing was uploaded and no scene is unfinished, nothing is started: exit code 1.
#
# POLL_S       seconds between two looks (15)
# ARRIVAL_S    longest wait for uploads that arrive (900)
# LOG_WAIT_S   longest wait for Log Analytics, which is minutes behind (300)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/lib.sh"
. "$here/lib-images.sh"

scene='' fallback=false wait=false logs=false limit_s=14400
while [[ $# -gt 0 ]]; do
  case $1 in
    --scene) need_value "$1" $#; scene=${2%/}; shift ;;
    --fallback) fallback=true ;;
    --wait) wait=true ;;
    --logs) wait=true; logs=true ;;
    --timeout) need_value "$1" $#; limit_s=$2; shift ;;
    *) no_arguments "$0" "$1" ;;
  esac
  shift
done
[[ $limit_s =~ ^[0-9]+$ ]] || die $REFUSED "--timeout $limit_s is no number of seconds"
case $scene in
  *[!A-Za-z0-9._/-]* | /* | *//* | *..*) die $REFUSED "--scene '$scene': use letters, digits, dot, hyphen and slash" ;;
esac

need_commands az
load_values
need_all AZURE_SUBSCRIPTION_ID AZURE_RESOURCE_GROUP RUNNER_JOB_NAME AZURE_STORAGE_ACCOUNT_NAME
group=$(need AZURE_RESOURCE_GROUP)
job=$(need RUNNER_JOB_NAME)
if $fallback; then
  job=$(value RUNNER_FALLBACK_JOB_NAME)
  [[ -n $job ]] || die $REFUSED "there is no second job: azd env set GPU_PROFILE_FALLBACK PROFILE, then azd provision"
fi
account=$(need AZURE_STORAGE_ACCOUNT_NAME)
need_image "$group" "$job"

# names_in CONTAINER PREFIX: at most five.
names_in() {
  local container
  container=$(deployed "AZURE_BLOB_CONTAINER_$(printf '%s' "$1" | tr '[:lower:]' '[:upper:]')")
  az_tsv storage blob list --account-name "$account" --auth-mode login --container-name "${container:-$1}" --prefix "$2" \
    --num-results 5 --query '[].name'
}

# arriving: into WAITS what is unfinished, into SETTLING what is not yet a job.
arriving() {
  local active uploads
  active=$(names_in state active/) && uploads=$(names_in input "${scene:+$scene/}") || return
  WAITS=$active$uploads
  SETTLING=
  if [[ -n $uploads ]]; then
    SETTLING=$(printf '%s\n' "$active" | grep '\.check$' || true)
    [[ -n $active ]] || SETTLING=$uploads # nobody has seen them yet
  fi
}

waited_s=$SECONDS told=false
while :; do
  arriving || { warn "what was uploaded cannot be seen; going on"; break; }
  [[ -n $WAITS ]] || die $FAILED "nothing waits: ${scene:-the input container} has no upload, and no scene is unfinished." \
    "See: scenejobs status; run a scene again: scenejobs retry"
  [[ -n $SETTLING ]] || break
  $wait || { warn "uploads are still arriving: the execution may find nothing; --wait waits for them"; break; }
  $told || say "Waiting for uploads to be complete: they are a job QUIET_SECONDS after the last one..."
  told=true
  if [[ $((SECONDS - waited_s)) -ge ${ARRIVAL_S:-900} ]]; then
    warn "uploads are not a job after ${ARRIVAL_S:-900} s; scenejobs status says why. Going on"
    break
  fi
  sleep "${POLL_S:-15}"
done

if [[ -n $scene ]]; then
  queue=$(deployed JOBS_QUEUE)
  now=$(date -u +%Y-%m-%dT%H:%M:%S+00:00)
  # As scenejobs.state.messages.JobMessage reads it; -1: a message that expired would be a scene that is forgotten.
  az_quiet storage message put --account-name "$account" --auth-mode login --queue-name "${queue:-jobs}" \
    --time-to-live -1 --content "{\"v\":1,\"scene\":\"$scene\",\"batch\":\"\",\"sent_at\":\"$now\"}"
  say "Scene $scene is in the queue."
fi

execution=$(az_tsv containerapp job start --resource-group "$group" --name "$job" --query name)
[[ -n $execution ]] || die $BROKEN "the start was accepted, but no execution was named; see 'az containerapp job execution list'"
say "Execution $execution of $job was started."
$wait || exit 0

# run_log: of the scene, from where its last run left it.
run_log() {
  local place file container
  [[ -n $scene ]] || return 1
  file=$(mktemp)
  for place in output error; do
    [[ -n $(names_in "$place" "$scene/run.log" 2>/dev/null) ]] || continue
    container=$(deployed "AZURE_BLOB_CONTAINER_$(printf '%s' "$place" | tr '[:lower:]' '[:upper:]')")
    if az_quiet storage blob download --account-name "$account" --auth-mode login --container-name "${container:-$place}" \
      --name "$scene/run.log" --file "$file" --overwrite; then
      say "--- ${container:-$place}/$scene/run.log ---"
      cat "$file"
      rm -f "$file"
      return 0
    fi
  done
  rm -f "$file"
  return 1
}

# logged: what Log Analytics has of the execution, oldest first. `az monitor log-analytics query` would need an extension of az.
logged() {
  az_tsv rest --method post --url "https://api.loganalytics.azure.com/v1/workspaces/$workspace/query" \
    --resource https://api.loganalytics.azure.com --headers Content-Type=application/json \
    --body "{\"query\": \"ContainerAppConsoleLogs | where ContainerGroupName startswith '$execution' | order by TimeGenerated asc | project Log\"}" \
    --query 'tables[0].rows[]'
}

show_logs() {
  local workspace lines until_s
  run_log && return 0
  workspace=$(value LOG_ANALYTICS_WORKSPACE_ID)
  [[ -n $workspace ]] || { warn "LOG_ANALYTICS_WORKSPACE_ID is not set: run azd provision; the log cannot be shown"; return 0; }
  say "--- log of $execution (Log Analytics is some minutes behind) ---"
  until_s=$((SECONDS + ${LOG_WAIT_S:-300}))
  while :; do
    lines=$(logged) || { warn "the log cannot be read; docs/deployment.md has the queries for the workspace"; return 0; }
    [[ -z $lines && $SECONDS -lt $until_s ]] || break
    sleep "${POLL_S:-15}"
  done
  if [[ -n $lines ]]; then say "$lines"; else warn "Log Analytics has no line of $execution yet; ask again later"; fi
}

began_s=$SECONDS
last=
while :; do
  # One failed look says nothing about the execution.
  state=$(retry 3 az_tsv containerapp job execution show --resource-group "$group" --name "$job" \
    --job-execution-name "$execution" --query properties.status)
  [[ $state == "$last" ]] || say "$(date -u +%H:%M:%S) $state"
  last=$state
  case $state in
    Succeeded | Failed | Stopped | Degraded) break ;;
    Running | Processing | Unknown | '') ;;
    *) warn "state '$state' is unknown to this script; waiting on" ;;
  esac
  [[ $((SECONDS - began_s)) -lt $limit_s ]] || die $BROKEN "$execution is still '$state' after $limit_s s; it goes on"
  sleep "${POLL_S:-15}"
done

if $logs; then
  show_logs
fi
[[ $state == Succeeded ]] || die $FAILED "execution $execution ended: $state"
say "Execution $execution succeeded."
