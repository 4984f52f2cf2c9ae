# Whether every function of the function app is there; sourced after lib.sh, not run.
#
# A host that can index none of the functions, or not all, starts all the same and answers as if it were well; the reason is in
# Application Insights alone. An upload's event for a function that is not there is accepted, and gone.
# shellcheck shell=bash disable=SC2154  # names of other files

# functions_of UPLOADS_QUEUE: the functions of function_app/triggers.py. "": uploads come by the blob trigger.
functions_of() {
  local way=on_upload
  [[ -z $1 ]] || way=on_event
  printf '%s\n' "$way" "${way}_poison" on_quiet on_quiet_poison sweep
}

# functions_are_there GROUP APP UPLOADS_QUEUE: names on standard error what is missing, and returns 1. It may take a minute after
# a deployment until the platform lists them.
functions_are_there() {
  local found name missing=
  found=$(az_tsv functionapp function list --resource-group "$1" --name "$2" --query '[].name') || return
  for name in $(functions_of "$3"); do
    case "/$(printf '%s' "$found" | tr '\n' '/')/" in # each as APP/FUNCTION
      */"$name"/*) ;;
      *) missing="$missing $name" ;;
    esac
  done
  [[ -n $missing ]] || return 0
  warn "$2 has no function$missing"
  return "$FAILED"
}

# need_functions GROUP APP UPLOADS_QUEUE: exits where they do not come.
need_functions() {
  local code=0
  retry "${TRIES:-10}" functions_are_there "$@" || code=$?
  [[ $code -eq 0 ]] || die "$code" "the code was deployed and its functions do not run: uploads raise no jobs. The reason is in" \
    "Application Insights: AppExceptions | where TimeGenerated > ago(1h), and AppTraces | where Message has \"index\"." \
    "After mending it: azd deploy dispatcher"
}
