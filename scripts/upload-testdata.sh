#!/usr/bin/env bash
# Uploads the South Building photos (128, by the UNC Chapel Hill) as three clips. The upload starts the system.
#
#     scripts/upload-testdata.sh [--prefix P/] [--download-only] [--archive ZIP_OR_URL] [--dir DIR]
#
# --prefix P/      the scene (south_building/)
# --download-only  makes the clips and stops
# --archive        another place of the photos: a zip on disk, or its address (TESTDATA_URL)
# --dir DIR        where photos and clips are kept (.local/testdata)
#
# Needs the environment of `make setup` for making the clips. What is there already is not fetched or made again.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/lib.sh"

prefix=south_building upload=true directory=$ROOT/.local/testdata
archive=${TESTDATA_URL:-https://github.com/colmap/colmap/releases/download/3.11.1/south-building.zip}
while [[ $# -gt 0 ]]; do
  case $1 in
    --prefix) need_value "$1" $#; prefix=${2%/}; shift ;;
    --download-only) upload=false ;;
    --archive) need_value "$1" $#; archive=$2; shift ;;
    --dir) need_value "$1" $#; directory=$2; shift ;;
    *) no_arguments "$0" "$1" ;;
  esac
  shift
done
form='^[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)*$' # bash 3.2 reads no bracket in a condition
[[ $prefix =~ $form ]] || die $REFUSED "--prefix '$prefix': use letters, digits, dot, hyphen and slash"

python=${PYTHON:-$ROOT/.venv/bin/python}
mkdir -p "$directory/clips"
directory=$(cd "$directory" && pwd)  # the clips are made from another folder
[[ ! -f $archive ]] || archive=$(cd "$(dirname "$archive")" && pwd)/$(basename "$archive")
clips=$directory/clips
if [[ ! -e $clips/complete ]]; then
  zip=$directory/photos.zip
  if [[ -f $archive ]]; then
    zip=$archive
  elif [[ ! -f $zip ]]; then
    need_commands curl
    say "Downloading the photos..."
    CALL_TIMEOUT_S=${DOWNLOAD_TIMEOUT_S:-1800} call curl --fail --silent --show-error --location --retry 3 \
      --output "$zip.part" "$archive"
    mv "$zip.part" "$zip"
  fi
  [[ -x $python ]] || die $REFUSED "$python does not exist: run make setup first, or set PYTHON"
  say "Making three clips..."
  (cd "$ROOT" && CALL_TIMEOUT_S=900 call "$python" -m local.footage.photo_clips "$zip" "$clips" --clips 3)
  touch "$clips/complete"
fi
say "The clips are in $clips."
$upload || exit 0

need_commands az
load_values
need_all AZURE_SUBSCRIPTION_ID AZURE_STORAGE_ACCOUNT_NAME
account=$(need AZURE_STORAGE_ACCOUNT_NAME)
container=$(deployed AZURE_BLOB_CONTAINER_INPUT)
CALL_TIMEOUT_S=${UPLOAD_TIMEOUT_S:-1800} az_quiet storage blob upload-batch --account-name "$account" --auth-mode login \
  --source "$clips" --destination "${container:-input}" --destination-path "$prefix" --pattern '*.mp4' \
  --max-connections 8 --overwrite
say "Uploaded to ${container:-input}/$prefix/. Follow it with: scenejobs status $prefix --wait"
