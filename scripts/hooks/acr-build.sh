#!/usr/bin/env bash
# Builds the runner's image in the registry and gives it to the job: scripts/deploy-job.sh, under the deployment guide's name.
# No hook of azd: azd deploy runner builds by itself.
#
#     scripts/hooks/acr-build.sh [--tag TAG]
set -euo pipefail
exec "$(dirname "$0")/../deploy-job.sh" "$@"
