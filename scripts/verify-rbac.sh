#!/usr/bin/env bash
# Says for every role of scripts/roles.tsv whether it is assigned (here or on a parent scope), one a line.
#
#     scripts/verify-rbac.sh
#
# Exit code 0: all are there, 1: some are missing, 2: it may not look, 3: a look failed.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/lib.sh"
. "$here/lib-roles.sh"

no_arguments "$0" "$@"

need_commands az
load_values

verify() {
  local identity=$1 principal=$2 where=$3 scope=$4 role=$5 id=$6 found
  found=$(covered "$principal" "$scope" "$id") || return
  if [[ -n $found ]]; then
    say "  ✅ $identity: $role on $where"
    return 0
  fi
  say "  ❌ $identity: $role on $where - MISSING"
  return $FAILED
}

say "Verifying RBAC role assignments..."
find_resources
for_each_role verify
if [[ $ROLES_FAILED -gt 0 ]]; then
  warn "$ROLES_FAILED RBAC role assignment(s) missing or not to be seen; run scripts/assign-rbac.sh as a privileged user"
  exit "$ROLES_CODE"
fi
say "✅ All RBAC role assignments are in place."
