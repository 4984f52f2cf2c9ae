#!/usr/bin/env bash
# Removes the role assignments of scripts/roles.tsv; before azd down, so that none is left behind on shared resources.
# Assignments on parent scopes and of other principals stay. Safe to repeat.
#
#     scripts/cleanup-rbac.sh [--keep-deployer]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/lib.sh"
. "$here/lib-roles.sh"

keep=false
REMOVING=true # what is gone has no roles left
while [[ $# -gt 0 ]]; do
  case $1 in
    --keep-deployer) keep=true ;;
    -h | --help) usage "$0"; exit 0 ;;
    *) die $REFUSED "unknown argument $1; see $SCRIPT --help" ;;
  esac
  shift
done

need_commands az
load_values

remove() {
  local identity=$1 principal=$2 where=$3 scope=$4 role=$5 id=$6 found assignment
  if $keep && [[ $identity == deployer ]]; then
    return 0
  fi
  found=$(assigned "$principal" "$scope" "$id") || return
  for assignment in $found; do
    retry 3 az_quiet role assignment delete --ids "$assignment" || return
    say "  - $identity: $role on $where"
  done
}

say "Removing role assignments..."
find_resources
for_each_role remove
if [[ $ROLES_FAILED -gt 0 ]]; then
  warn "$ROLES_FAILED role(s) could not be removed; only an Owner or User Access Administrator of the scope can"
  exit "$ROLES_CODE"
fi
say "No role assignment of this deployment is left."
