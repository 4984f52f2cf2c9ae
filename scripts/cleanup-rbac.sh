#!/usr/bin/env bash
# Removes the role assignments of scripts/roles.tsv; before azd down, so that none is left behind on shared resources.
# Lists them and asks first; --yes does not. Assignments on parent scopes and of other principals stay. Safe to repeat.
#
#     scripts/cleanup-rbac.sh [--yes] [--keep-deployer]
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/lib.sh"
. "$here/lib-roles.sh"

keep=false yes=false
REMOVING=true # what is gone has no roles left
while [[ $# -gt 0 ]]; do
  case $1 in
    --keep-deployer) keep=true ;;
    --yes) yes=true ;;
    *) no_arguments "$0" "$1" ;;
  esac
  shift
done

need_commands az
load_values

FOUND= # a line for each assignment: its id, then what it is
look() {
  local identity=$1 principal=$2 where=$3 scope=$4 role=$5 id=$6 found assignment
  if $keep && [[ $identity == deployer ]]; then
    return 0
  fi
  found=$(assigned "$principal" "$scope" "$id") || return
  for assignment in $found; do
    FOUND="$FOUND$assignment$TAB$identity: $role on $where
"
  done
}

find_resources
for_each_role look
failed=$ROLES_FAILED code=$ROLES_CODE
if [[ -n $FOUND ]]; then
  say "Role assignments to be removed:"
  printf '%s' "$FOUND" | cut -f 2 | sed 's/^/  /'
  $yes || confirm "Remove them?" || die $REFUSED "not confirmed; --yes does not ask"
  while IFS=$TAB read -r assignment what <&3; do
    one=0
    retry 3 az_quiet role assignment delete --ids "$assignment" || one=$?
    if [[ $one -eq 0 ]]; then
      say "  - $what"
    else
      failed=$((failed + 1))
      [[ $one -le $code ]] || code=$one
    fi
  done 3<<END
${FOUND%?}
END
fi
if [[ $failed -gt 0 ]]; then
  warn "$failed role(s) could not be removed; only an Owner or User Access Administrator of the scope can"
  exit "$code"
fi
say "No role assignment of this deployment is left."
