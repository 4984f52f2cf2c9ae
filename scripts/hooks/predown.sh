#!/usr/bin/env bash
# Before azd down: lists what goes, and refuses where the group holds what this environment did not make: azd deletes whole groups.
#
#     scripts/hooks/predown.sh           azd runs it, and then asks by itself
#
# azd deletes every group that the last deployment touched, also those where it only reused something.
#
# FORCE_DELETE=true (azd env set) goes on all the same, after removing our event subscription from a reused system topic.
# scripts/teardown.sh deletes only what the environment made.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../lib.sh"
. "$here/../lib-down.sh"
no_arguments "$0" "$@"

need_commands azd
# What cannot be read must not look like nothing: load_values would go on without.
AZD_VALUES=$(call azd env get-values) || die $? "the environment cannot be read, so nothing is deleted"
SUBSCRIPTION=$(value AZURE_SUBSCRIPTION_ID)

found=$(reused)
group=$(value AZURE_RESOURCE_GROUP) name=$(value AZURE_ENV_NAME)
OURS='' THEIRS='' GROUP_GONE=false
if [[ -n $group && -n $name && -z $found ]]; then
  need_commands az
  look_at_group "$group" "$name" || die $? "what is in $group cannot be read, so nothing is deleted"
  $GROUP_GONE || { say "azd down deletes the group $group, with:" && shown "$OURS"; }
fi
[[ -n $found$THEIRS ]] || exit 0

if [[ -n $found ]]; then
  warn "EXISTING RESOURCES DETECTED. This environment uses resources it did not make:
$(printf '%s' "$found" | sed 's/^/   * /')"
else
  warn "EXISTING RESOURCES DETECTED. In $group is what this environment did not make:
$(shown "$THEIRS" | sed 's/^ */   * /')"
fi
if [[ $(value FORCE_DELETE) == true ]]; then
  unsubscribe || die $? "our event subscription on a reused system topic is still there, so nothing is deleted"
  warn "FORCE_DELETE is set: azd down goes on"
  exit 0
fi
warn "azd down could delete the resource group with everything in it. Take down only what this environment made:"
warn "    scripts/teardown.sh"
warn "or, if everything in there may go: azd env set FORCE_DELETE true, then azd down again"
exit $REFUSED
