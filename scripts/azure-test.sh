#!/usr/bin/env bash
# Runs one scene through a real storage account and looks at what came out.
#
#     scripts/azure-test.sh [--deployed] [--scene NAME] [--preset NAME] [--config FILE] [--report FILE] [VIDEO...]
#
# Without --deployed the runner works on this machine, on the account of azure-test-config.env. With it the deployed system
# does: the upload alone starts it, and the account is the azd environment's. Videos: default is the demo footage, which the
# repository makes itself. Exit code 0 only when the result was published, downloaded and agrees with its manifest.
#
# However it ends, it leaves one file to send back: steps, times, versions, states, messages; no secrets, no ids of accounts
# or people (azure-test-report.txt, --report). docs/azd-first-run.md is the way there.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/lib.sh"
. "$here/lib-report.sh"

deployed=false scene=azure-test-$(date -u +%Y%m%d%H%M%S) preset=smoke config=azure-test-config.env report=azure-test-report.txt
videos=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --deployed) deployed=true ;;
    --scene) need_value "$1" $#; scene=$2; shift ;;
    --preset) need_value "$1" $#; preset=$2; shift ;;
    --config) need_value "$1" $#; config=$2; shift ;;
    --report) need_value "$1" $#; report=$2; shift ;;
    -*) no_arguments "$0" "$1" ;;
    *) # the work is done from another folder
      [[ -f $1 ]] || die $REFUSED "$1 is not a file"
      videos+=("$(cd "$(dirname "$1")" && pwd)/$(basename "$1")") ;;
  esac
  shift
done

python=${PYTHON:-$ROOT/.venv/bin/python}
[[ -x $python ]] || die $REFUSED "$python does not exist: run make setup first, or set PYTHON"
if $deployed; then
  load_values
elif [[ -z ${AZURE_STORAGE_ACCOUNT:-}${AZURE_STORAGE_CONNECTION_STRING:-} ]]; then
  [[ -f $config ]] || die $REFUSED "$config does not exist: run scripts/azure-setup.sh first"
  while IFS='=' read -r name text; do  # read as text: a file is not a program
    case $name in
      AZURE_STORAGE_ACCOUNT | AZURE_USE_AZURE_AD) export "$name=$text" ;;
    esac
  done <"$config"
fi

case $report in /*) REPORT=$report ;; *) REPORT=$PWD/$report ;; esac # the work is done from another folder
work=$(mktemp -d)
begin_report "$work" "azure-test.sh$(! $deployed || printf ' --deployed'), scene $scene"
ended() {
  local code=$?
  trap - EXIT
  end_report "$code" "$python"
  rm -rf "$work"
  exit "$code"
}
trap ended EXIT
trap 'exit 130' INT TERM
cd "$ROOT"

# with_env NAME=VALUE... COMMAND...: bounded by the time limit of the trial.
with_env() { limited "${TEST_TIMEOUT_S:-7200}" env "$@"; }
upload() { CALL_TIMEOUT_S=1800 call "$python" -m scenejobs upload "$scene" "${videos[@]}"; }
download() { CALL_TIMEOUT_S=1800 call "$python" -m scenejobs download "$scene" "$work/result"; }

fact "repository" git -C "$ROOT" log -1 --format='%h of %cs'
fact "changed files" git -C "$ROOT" status --short
fact "system" uname -srm
fact "bash" printf '%s' "$BASH_VERSION"
fact "python" "$python" --version
if $deployed; then
  fact "azd" call azd version
  fact "azure-cli" az_tsv version --query '"azure-cli"'
  for name in AZURE_LOCATION USE_GPU GPU_PROFILE_TYPE GPU_PROFILE_FALLBACK INCLUDE_RBAC UPLOADS_QUEUE PRIVATE_NETWORKING RUNNER_CUDA; do
    note "$name: $(value "$name")"
  done
  fact "resources" az_tsv resource list --resource-group "$(value AZURE_RESOURCE_GROUP)" --query '[].[type,provisioningState,location]'
  fact "image of the job" az_tsv containerapp job show --resource-group "$(value AZURE_RESOURCE_GROUP)" \
    --name "$(value RUNNER_JOB_NAME)" --query 'properties.template.containers[0].image'
  step "settings" need_all AZURE_SUBSCRIPTION_ID AZURE_STORAGE_ACCOUNT_NAME # only now: what there is, is in the report
  AZURE_STORAGE_ACCOUNT=$(value AZURE_STORAGE_ACCOUNT_NAME)
  export AZURE_STORAGE_ACCOUNT AZURE_USE_AZURE_AD=true
fi

if [[ ${#videos[@]} -eq 0 ]]; then
  say "Making the demo footage..."
  CALL_TIMEOUT_S=900 step "footage" call "$python" -m local.footage.film "$work/footage" >/dev/null
  videos=("$work"/footage/*.mp4)
fi
say "Uploading ${#videos[@]} video(s) as scene $scene..."
step "upload" upload
if $deployed; then
  done=true
  step "from upload to result" with_env "$python" -m scenejobs status "$scene" --wait || done=false
  fact "state" call "$python" -m scenejobs status "$scene"
  fact "first execution (state/preflight.json)" az_tsv storage blob download --account-name "$AZURE_STORAGE_ACCOUNT" --auth-mode login \
    --container-name "$(value AZURE_BLOB_CONTAINER_STATE | grep . || printf state)" --name preflight.json --file "$work/preflight.json"
  [[ ! -s $work/preflight.json ]] || fact "preflight" cat "$work/preflight.json"
  $done || fail "scene $scene was not finished"
else
  step "runner" with_env RUN_MODE=batch BATCH_INPUT_PREFIX="$scene" PRESET="${PRESET:-$preset}" "$python" -m runner ||
    fail "the runner did not process scene $scene"
fi
step "download" download
for file in "$scene.ply" "$scene.splat" manifest.json; do
  [[ -s $work/result/$file ]] || fail "$file is missing in the result of $scene"
done
fact "files" ls -l "$work/result"
fact "measured" cat "$work/result/metrics.json"
say "Scene $scene went through: published, downloaded, and every file is what its manifest says."
