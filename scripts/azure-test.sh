#!/usr/bin/env bash
# Runs one scene through a real storage account and looks at what came out.
#
#     scripts/azure-test.sh [--deployed] [--scene NAME] [--preset NAME] [--config FILE] [VIDEO...]
#
# Without --deployed the runner works on this machine, on the account of azure-test-config.env. With it the deployed system
# does: the upload alone starts it, and the account is the azd environment's. Videos: default is the demo footage, which the
# repository makes itself. Exit code 0 only when the result was published, downloaded and agrees with its manifest.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/lib.sh"

deployed=false scene=azure-test-$(date -u +%Y%m%d%H%M%S) preset=smoke config=azure-test-config.env
videos=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --deployed) deployed=true ;;
    --scene) need_value "$1" $#; scene=$2; shift ;;
    --preset) need_value "$1" $#; preset=$2; shift ;;
    --config) need_value "$1" $#; config=$2; shift ;;
    -h | --help) usage "$0"; exit 0 ;;
    -*) die $REFUSED "unknown argument $1; see $SCRIPT --help" ;;
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
  need_all AZURE_SUBSCRIPTION_ID AZURE_STORAGE_ACCOUNT_NAME
  AZURE_STORAGE_ACCOUNT=$(need AZURE_STORAGE_ACCOUNT_NAME)
  export AZURE_STORAGE_ACCOUNT AZURE_USE_AZURE_AD=true
elif [[ -z ${AZURE_STORAGE_ACCOUNT:-}${AZURE_STORAGE_CONNECTION_STRING:-} ]]; then
  [[ -f $config ]] || die $REFUSED "$config does not exist: run scripts/azure-setup.sh first"
  while IFS='=' read -r name text; do  # read as text: a file is not a program
    case $name in
      AZURE_STORAGE_ACCOUNT | AZURE_USE_AZURE_AD) export "$name=$text" ;;
    esac
  done <"$config"
fi

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$ROOT"
if [[ ${#videos[@]} -eq 0 ]]; then
  say "Making the demo footage..."
  CALL_TIMEOUT_S=900 call "$python" -m local.footage.film "$work/footage" >/dev/null
  videos=("$work"/footage/*.mp4)
fi
say "Uploading ${#videos[@]} video(s) as scene $scene..."
CALL_TIMEOUT_S=1800 call "$python" -m scenejobs upload "$scene" "${videos[@]}"
if $deployed; then
  limited "${TEST_TIMEOUT_S:-7200}" "$python" -m scenejobs status "$scene" --wait || die $FAILED "scene $scene was not finished"
else
  RUN_MODE=batch BATCH_INPUT_PREFIX=$scene PRESET=${PRESET:-$preset} \
    limited "${TEST_TIMEOUT_S:-7200}" "$python" -m runner || die $FAILED "the runner did not process scene $scene"
fi
CALL_TIMEOUT_S=1800 call "$python" -m scenejobs download "$scene" "$work/result"
for file in "$scene.ply" "$scene.splat" manifest.json; do
  [[ -s $work/result/$file ]] || die $FAILED "$file is missing in the result of $scene"
done
say "Scene $scene went through: published, downloaded, and every file is what its manifest says."
