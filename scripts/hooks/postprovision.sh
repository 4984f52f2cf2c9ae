#!/usr/bin/env bash
# After azd provision: says what is left to do when roles are assigned by somebody else.
#
#     scripts/hooks/postprovision.sh     azd runs it
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"
no_arguments "$0" "$@"

need_commands azd
load_values
[[ $(value INCLUDE_RBAC) == false ]] || exit 0
say "No roles were assigned (INCLUDE_RBAC=false). Before the deployment somebody who may assign roles runs, with this environment:"
say "    scripts/assign-rbac.sh --use-bicep    # or without the option: one call per role"
say "    scripts/verify-rbac.sh"
say "then: azd deploy"
