#!/usr/bin/env bash
# Fetches the test data and makes the clips, without uploading: scripts/upload-testdata.sh --download-only.
#
#     scripts/e2e/01-download-testdata.sh [--archive ZIP_OR_URL] [--dir DIR]
set -euo pipefail
exec "$(dirname "$0")/../upload-testdata.sh" --download-only "$@"
