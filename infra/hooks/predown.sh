#!/usr/bin/env bash
# Before azd down: refuses where reused resources are configured, for azd deletes whole resource groups.
#
#     infra/hooks/predown.sh             azd runs it
#
# FORCE_DELETE=true (azd env set) goes on all the same. scripts/teardown.sh deletes only what the environment made.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../../scripts/lib.sh"

need_commands azd
# What cannot be read must not look like nothing: load_values would go on without.
AZD_VALUES=$(call azd env get-values) || die $? "the environment cannot be read, so nothing is deleted"

found=
for variable in $EXISTING_VARIABLES EXISTING_RESOURCES_GROUP EXISTING_EVENT_GRID_TOPIC_NAME; do
  name=$(value "$variable")
  [[ -z $name ]] || found="$found
   * $variable: $name"
done
[[ -n $found ]] || exit 0

warn "EXISTING RESOURCES DETECTED. This environment uses resources it did not make:$found"
if [[ $(value FORCE_DELETE) == true ]]; then
  warn "FORCE_DELETE is set: azd down goes on"
  exit 0
fi
warn "azd down could delete the resource group with everything in it. Take down only what this environment made:"
warn "    scripts/teardown.sh"
warn "or, if everything in there may go: azd env set FORCE_DELETE true, then azd down again"
exit $REFUSED
