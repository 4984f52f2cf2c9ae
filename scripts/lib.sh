# What the scripts share; sourced, not run. Works with bash 3.2 (macOS). Nothing here evaluates text as code.
#
# Exit codes of every script: 0 done, 1 the thing asked about is missing or failed, 2 usage, settings, sign-in or rights,
# 3 the service failed or did not answer in time. A message on standard error says which thing and what to do.
#
# AZ_TIMEOUT_S   longest single call of az or azd (120)
# RETRY_DELAY_S  wait before something is tried again, seconds (10)
# shellcheck shell=bash disable=SC2034  # names for the scripts

SCRIPT=$(basename "$0")
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd -P)
: "${AZ_TIMEOUT_S:=120}" "${RETRY_DELAY_S:=10}"
FAILED=1 REFUSED=2 BROKEN=3
# Where a command takes Ctrl-C for a failure of its own, bash alone would go on. A $(...) has no trap until it sets one.
end_on_ctrl_c() {
  trap '[[ $BASH_SUBSHELL -gt 0 ]] || warn "interrupted; what was made stays: run the same again"; exit 130' INT
}
end_on_ctrl_c

# GPU regions of Microsoft's discovery file of April 2026, by workload profile.
T4_REGIONS="australiaeast brazilsouth canadacentral centralindia eastus francecentral italynorth japaneast northcentralus
southcentralus southeastasia southindia swedencentral uksouth westeurope westus westus2 westus3"
A100_REGIONS="australiaeast brazilsouth canadacentral eastus italynorth swedencentral uksouth westus westus3"
CONTAINERS="input output processed error state"
QUEUES="debounce debounce-poison jobs jobs-poison"
EXISTING_VARIABLES="EXISTING_RESOURCE_GROUP EXISTING_ACR_NAME EXISTING_STORAGE_ACCOUNT_NAME
EXISTING_CONTAINER_APPS_ENV_NAME EXISTING_LOG_ANALYTICS_NAME EXISTING_RESOURCES_GROUP EXISTING_EVENT_GRID_TOPIC_NAME"

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$SCRIPT: $*" >&2; }

# die CODE MESSAGE...
die() {
  local code=$1
  shift
  warn "$*"
  exit "$code"
}

need_commands() {
  local name
  for name in "$@"; do
    command -v "$name" >/dev/null 2>&1 || die $REFUSED "$name is not installed"
  done
}

# usage FILE: the comment at the top of a script is its help.
usage() { sed -n '2,/^[^#]/{/^#/!d;s/^# \{0,1\}//;p;}' "$1"; }

# no_arguments SCRIPT [ARGUMENT...]: for a script without options, and for what is none of its options: answers --help, and refuses
# everything else.
no_arguments() {
  [[ $# -ge 2 ]] || return 0
  case $2 in
    -h | --help) usage "$1"; exit 0 ;;
    *) die $REFUSED "unknown argument $2; see $SCRIPT --help" ;;
  esac
}

# need_value OPTION COUNT: for an option whose value is missing. COUNT: how many arguments are left, the option included.
need_value() { [[ $2 -ge 2 ]] || die $REFUSED "$1 needs a value; see $SCRIPT --help"; }

# limited SECONDS COMMAND...: like COMMAND, ended after so long with code 124.
limited() {
  if command -v timeout >/dev/null 2>&1; then
    interruptible timeout --kill-after=5 "$@"
  elif command -v gtimeout >/dev/null 2>&1; then
    interruptible gtimeout --kill-after=5 "$@"
  else
    limited_by_bash "$@"
  fi
}

# interruptible COMMAND...: like COMMAND, ended by Ctrl-C. timeout puts what it runs into a group of its own, which Ctrl-C does not
# reach: bash would wait for it, and then go on.
interruptible() (
  trap 'kill -TERM $! 2>/dev/null; exit 130' INT
  trap 'kill -TERM $! 2>/dev/null; exit 143' TERM
  "$@" <&0 & # without <&0 it would read nothing
  wait $!
)

# limited_by_bash SECONDS COMMAND...: the same where there is no timeout, as on macOS.
limited_by_bash() (
  seconds=$1 code=0 began_s=$SECONDS
  shift
  "$@" <&0 & # without <&0 it would read nothing
  running=$!
  (
    sleep "$seconds" &
    trap 'kill $!; exit 0' TERM
    wait $!
    kill -TERM "$running" && sleep 5 && kill -KILL "$running"
  ) >/dev/null 2>&1 &
  watch=$!
  trap 'kill -TERM "$running" "$watch"; exit 130' INT TERM
  wait "$running" || code=$?
  [[ $code -le 128 || $((SECONDS - began_s)) -lt $seconds ]] || code=124
  kill -TERM "$watch" 2>/dev/null && wait "$watch" 2>/dev/null || :
  exit "$code"
)

# call COMMAND...: its standard output. On failure a message with the cause and remedy, and a code of ours.
call() {
  local errors code=0 text
  end_on_ctrl_c
  errors=$(mktemp)
  (limited "${CALL_TIMEOUT_S:-$AZ_TIMEOUT_S}" "$@") 2>"$errors" || code=$? # ( ): what a trap says is no error of the call
  text=$(cat "$errors")
  rm -f "$errors"
  [[ $code -eq 0 ]] && return 0
  explain "$code" "$text" "$@"
}

# explain CODE TEXT COMMAND...: tells why the command failed; returns our code.
explain() {
  local code=$1 text=$2 what last
  shift 2
  what="$1 ${2:-} ${3:-}"
  last=$(printf '%s' "$text" | grep -v '^ *$' | tail -3 | cut -c1-400 || true)
  case $code:$text in
    124:* | 137:*)
      warn "$what did not answer within ${CALL_TIMEOUT_S:-$AZ_TIMEOUT_S} s; try again, or raise AZ_TIMEOUT_S"
      return $BROKEN ;;
    *"az login"* | *"azd auth login"* | *"not logged in"* | *AADSTS*)
      warn "$what: not signed in: $last"
      warn "run 'az login' and 'azd auth login', and look at the subscription with 'az account show'"
      return $REFUSED ;;
    *SubscriptionNotFound* | *"he subscription of "* | *"ubscription '"*"' not found"*)
      warn "$what: this account does not see the subscription: $last"
      warn "look at AZURE_SUBSCRIPTION_ID and 'az account list'; another tenant needs 'az login --tenant TENANT'"
      return $REFUSED ;;
    *"alidation handshake"*) # the app's answer, until it has loaded its keys; whatever code it is, it is not ours
      warn "$what: the function app did not accept Event Grid yet: $last"
      return $BROKEN ;;
    *AuthorizationFailed* | *AuthorizationPermissionMismatch* | *Forbidden* | *"(403)"*)
      warn "$what: refused (403): $last"
      warn "the signed-in account lacks a role for this, or got it minutes ago: try again in ten minutes; scripts/verify-rbac.sh" \
        "looks, scripts/roles.tsv and docs/SECURITY.md name them"
      return $REFUSED ;;
    *"nsufficient privileges"* | *Authorization_RequestDenied*)
      warn "$what: refused: $last"
      warn "it takes somebody who may do this in Entra ID; for applications that is an application developer or administrator"
      return $REFUSED ;;
    *"(ResourceNotFound)"* | *NotFound\)* | *"could not be found"* | *ContainerNotFound* | *QueueNotFound*)
      warn "$what: not found: $last"
      return $FAILED ;;
  esac
  warn "$what failed ($code): ${last:-no message}"
  return $BROKEN
}

# The subscription that every call of az names: AZURE_SUBSCRIPTION_ID of the deployment (load_values), whatever az's own is.
SUBSCRIPTION=
az_tsv() { az_call tsv "$@"; }    # one value or column
az_quiet() { az_call none "$@"; } # nothing but success

# az_call OUTPUT ARGUMENTS...
az_call() {
  local output=$1
  shift
  case ${1:-} in
    ad) call az "$@" --output "$output" --only-show-errors ;; # Entra ID: of the tenant, not of a subscription
    *)
      [[ -n $SUBSCRIPTION ]] || die $REFUSED "AZURE_SUBSCRIPTION_ID is not set: $(hint_of AZURE_SUBSCRIPTION_ID)"
      call az "$@" --subscription "$SUBSCRIPTION" --output "$output" --only-show-errors ;;
  esac
}

# choose_subscription: for scripts that belong to no deployment: AZURE_SUBSCRIPTION_ID, else the one that az has selected.
choose_subscription() {
  SUBSCRIPTION=${AZURE_SUBSCRIPTION_ID:-}
  [[ -n $SUBSCRIPTION ]] || SUBSCRIPTION=$(call az account show --query id --output tsv --only-show-errors)
  [[ -n $SUBSCRIPTION ]] || die $REFUSED "az has no subscription selected: run 'az login', or set AZURE_SUBSCRIPTION_ID"
}

# retry TIMES COMMAND...: until it succeeds; a refusal is final. RETRY_DELAY_S apart.
retry() {
  local times=$1 attempt=1 code
  shift
  end_on_ctrl_c
  while :; do
    code=0
    "$@" || code=$?
    [[ $code -eq 0 || $code -eq $REFUSED || $attempt -ge $times ]] && return "$code"
    warn "attempt $attempt of $times failed; again in $RETRY_DELAY_S s"
    attempt=$((attempt + 1))
    sleep "$RETRY_DELAY_S"
  done
}

# ---- values of the deployment: the environment first, then azd's environment ----------------------------------------

AZD_VALUES=
load_values() {
  # without an azd environment the values come from the process environment, and what is missing is named by need
  if command -v azd >/dev/null 2>&1; then
    AZD_VALUES=$(limited "$AZ_TIMEOUT_S" azd env get-values 2>/dev/null) || AZD_VALUES=
  fi
  SUBSCRIPTION=$(value AZURE_SUBSCRIPTION_ID)
}

# value NAME: "" where it is set nowhere. azd's lines are NAME="VALUE"; they are read as text, never run.
value() {
  local line
  if [[ -n ${!1:-} ]]; then
    printf '%s' "${!1}"
    return
  fi
  line=$(printf '%s\n' "$AZD_VALUES" | grep "^$1=" | tail -1 || true)
  line=${line#*=}
  line=${line#\"}
  printf '%s' "${line%\"}"
}

# deployed NAME: the variable as the last provisioning took it (output DEPLOYED_NAME), which may be empty; before the first
# one as it is set.
deployed() {
  [[ -z ${!1:-} ]] || { printf '%s' "${!1}"; return; }
  if printf '%s\n' "$AZD_VALUES" | grep "^DEPLOYED_$1=" >/dev/null; then
    value "DEPLOYED_$1"
  else
    value "$1"
  fi
}

# need NAME: the value, or exit.
need() {
  local found
  found=$(value "$1")
  [[ -n $found ]] || die $REFUSED "$1 is not set: $(hint_of "$1")"
  printf '%s' "$found"
}

# need_all NAME...: exits where any has no value, after naming every one of them.
need_all() {
  local name missing=
  for name in "$@"; do
    [[ -n $(value "$name")$(deployed "$name") ]] || missing="$missing $name"
  done
  [[ -n $missing ]] || return 0
  for name in $missing; do
    warn "$name is not set: $(hint_of "$name")"
  done
  exit $REFUSED
}

hint_of() {
  case $1 in
    AZURE_SUBSCRIPTION_ID) printf '%s' "azd env set AZURE_SUBSCRIPTION_ID ID (which there are: az account list --output table)" ;;
    AZURE_ENV_NAME) printf '%s' "run azd init first, or select an environment: azd env select NAME" ;;
    *) printf '%s' "run azd provision first, or set it in the environment" ;;
  esac
}

# unsubscribe: removes this deployment's event subscription from a system topic that is somebody else's. One of ours goes with it.
# Nothing to do where topic or subscription are gone, or none was ever made.
unsubscribe() {
  local topic group name found code=0
  topic=$(value EVENT_GRID_TOPIC_NAME)
  group=$(value EVENT_GRID_TOPIC_RESOURCE_GROUP)
  name=$(value EVENT_GRID_SUBSCRIPTION_NAME)
  [[ -n $topic && -n $group && -n $name ]] || return 0
  [[ $topic == "$(value EXISTING_EVENT_GRID_TOPIC_NAME)" ]] || contains "$(value REUSED_RESOURCES)" "$topic" || return 0
  need_commands az
  found=$(az_tsv eventgrid system-topic event-subscription list --resource-group "$group" --system-topic-name "$topic" \
    --query '[].name') || code=$?
  if [[ $code -eq $FAILED ]] || { [[ $code -eq 0 ]] && ! contains "$found" "$name"; }; then
    say "There is no event subscription $name on $topic."
    return 0
  fi
  [[ $code -eq 0 ]] || return "$code"
  az_quiet eventgrid system-topic event-subscription delete --resource-group "$group" --system-topic-name "$topic" \
    --name "$name" --yes || return
  say "Removed the event subscription $name from $topic."
}

# reused: what this environment uses and did not make, one `NAME: value` a line: by the variables and by the last provisioning.
reused() {
  local variable name
  for variable in $EXISTING_VARIABLES; do
    name=$(value "$variable")
    [[ -z $name ]] || say "$variable: $name"
  done
  # shellcheck disable=SC2046  # a text of words
  name=$(printf '%s ' $(value REUSED_RESOURCES))
  [[ -z ${name// /} ]] || say "REUSED_RESOURCES: $name"
}

# regions_of PROFILE: where it can be had, "" for a profile of which that is not known.
regions_of() {
  case $1 in
    Consumption-GPU-NC24-A100) printf '%s' "$A100_REGIONS" ;;
    Consumption-GPU-NC8as-T4) printf '%s' "$T4_REGIONS" ;;
  esac
}

# contains WORDS WORD
contains() {
  local word
  for word in $1; do
    [[ $word == "$2" ]] && return 0
  done
  return 1
}

# confirm QUESTION: yes from a person; without a terminal, no.
confirm() {
  local answer
  [[ -t 0 || -n ${ANSWERS_FROM_STDIN:-} ]] || return 1
  read -r -p "$1 [y/N] " answer || answer=
  [[ $answer == [yY]* ]]
}
