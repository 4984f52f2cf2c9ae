#!/usr/bin/env bash
# Starts an execution of the runner's job. Uploads start one by themselves; this is for doing it by hand.
#
#     scripts/run-job.sh [--scene NAME] [--wait] [--logs] [--timeout SECONDS]
#
# --scene NAME       first puts this scene into the job queue (the job itself is never edited); else the execution takes
#                    what waits there
# --wait             until it ended; the exit code is then the execution's: 0 it succeeded, 1 it did not
# --logs             waits, then shows the container's log
# --timeout SECONDS  longest wait (14400); then exit code 3, and the execution goes on
#
# POLL_S  seconds between two looks (15)
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/lib.sh"
. "$here/lib-images.sh"

scene='' wait=false logs=false limit_s=14400
while [[ $# -gt 0 ]]; do
  case $1 in
    --scene) need_value "$1" $#; scene=${2%/}; shift ;;
    --wait) wait=true ;;
    --logs) wait=true; logs=true ;;
    --timeout) need_value "$1" $#; limit_s=$2; shift ;;
    -h | --help) usage "$0"; exit 0 ;;
    *) die $REFUSED "unknown argument $1; see $SCRIPT --help" ;;
  esac
  shift
done
[[ $limit_s =~ ^[0-9]+$ ]] || die $REFUSED "--timeout $limit_s is no number of seconds"
case $scene in
  *[!A-Za-z0-9._/-]* | /* | *//* | *..*) die $REFUSED "--scene '$scene': use letters, digits, dot, hyphen and slash" ;;
esac

need_commands az
load_values
need_all AZURE_SUBSCRIPTION_ID AZURE_RESOURCE_GROUP RUNNER_JOB_NAME ${scene:+AZURE_STORAGE_ACCOUNT_NAME}
group=$(need AZURE_RESOURCE_GROUP)
job=$(need RUNNER_JOB_NAME)
need_image "$group" "$job"

if [[ -n $scene ]]; then
  account=$(need AZURE_STORAGE_ACCOUNT_NAME)
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

show_logs() {
  say "--- log of $execution ---"
  # An extension of az; the same lines are in Log Analytics (docs/deployment.md), and in the scene's run.log.
  az_tsv containerapp job logs show --resource-group "$group" --name "$job" --execution "$execution" \
    --container runner --tail 300 || warn "the log cannot be shown; look into Log Analytics for $execution"
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
