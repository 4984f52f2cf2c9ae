# What is taken down and what stays, looked at before anybody is asked; sourced after lib.sh.
# shellcheck shell=bash disable=SC2034  # names for the scripts

# look_at_group GROUP ENVIRONMENT: into OURS the resources of the group with the environment's tag, into THEIRS all others of it, ids in
# lines. What Azure makes beside one of ours, without a tag, is neither: it goes with what it belongs to. GROUP_GONE: there is no group.
look_at_group() {
  local all tagged id code=0
  OURS='' THEIRS='' GROUP_GONE=false
  tagged=$(az_tsv resource list --tag "azd-env-name=$2" --query '[].id') || return # az takes no other filter beside --tag
  OURS=$(printf '%s\n' "$tagged" | grep -iF "/resourceGroups/$1/" || true)
  all=$(az_tsv resource list --resource-group "$1" --query '[].id') || code=$?
  if [[ $code -eq $FAILED ]]; then
    GROUP_GONE=true
    return 0
  fi
  [[ $code -eq 0 ]] || return "$code"
  while IFS= read -r id; do
    [[ -z $id ]] || belongs "$id" || THEIRS="${THEIRS:+$THEIRS
}$id"
  done <<END
$all
END
}

# belongs ID: whether it is one of OURS, part of one, or made by Azure for one.
belongs() {
  local ours
  case $(lowered "$1") in
    */networkinterfaces/*.nic.*) return 0 ;;                                    # of a private endpoint
    */smartdetectoralertrules/"failure anomalies - "*) return 0 ;;              # of Application Insights
    */actiongroups/"application insights smart detection") return 0 ;;          # the same
  esac
  while IFS= read -r ours; do
    [[ -n $ours ]] || continue
    ours=$(lowered "$ours")
    case $(lowered "$1") in
      "$ours" | "$ours"/*) return 0 ;;
    esac
  done <<END
$OURS
END
  return 1
}

lowered() { printf '%s' "$1" | tr '[:upper:]' '[:lower:]'; }

# shown IDS: type and name of each, a line each; `nothing` for none.
shown() {
  [[ -n $1 ]] || { say "  nothing"; return 0; }
  printf '%s\n' "$1" | sed -e 's|.*/providers/|  |'
}
