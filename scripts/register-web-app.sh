#!/usr/bin/env bash
# Registers the application in Entra ID that people sign in to, and switches API and page on for the next `azd up`.
#
#     scripts/register-web-app.sh [--name NAME] [--app-id ID] [--give ROLE PERSON]...
#
# --name NAME          of the application (video-splat); one that is there already is used
# --app-id ID          this one, where several have the name
# --give ROLE PERSON   reader, uploader or operator, for somebody's sign-in name, address or object ID; without any, only
#                      the application is made. Groups and programs: in the portal
#
# To be run by somebody who may register applications; again after the first `azd up`, which names the function app:
# until then nobody is sent back to it after signing in. The same again changes nothing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/lib.sh"

name=video-splat app_id='' given=()
while [[ $# -gt 0 ]]; do
  case $1 in
    --name) need_value "$1" $#; name=$2; shift ;;
    --app-id) need_value "$1" $#; app_id=$2; shift ;;
    --give)
      [[ $# -ge 3 ]] || die $REFUSED "--give needs a role and a person; see $SCRIPT --help"
      given+=("$2" "$3")
      shift 2 ;;
    *) no_arguments "$0" "$1" ;;
  esac
  shift
done
case $name in
  '' | *[!A-Za-z0-9\ ._-]*) die $REFUSED "--name '$name': use letters, digits, space, dot, hyphen and underscore" ;;
esac

roles="$here/web-app-roles.json"

# role_id ROLE: as the application's document has it, or exit.
role_id() {
  local id
  id=$(sed -n "s/.*\"value\": \"$1\", \"id\": \"\([0-9a-f-]*\)\".*/\1/p" "$roles")
  [[ -n $id && $1 =~ ^[a-z]+$ ]] || die $REFUSED "role '$1': use reader, uploader or operator"
  printf '%s' "$id"
}

# graph METHOD PATH [ARGUMENT...]: of Microsoft Graph. The tenant is the one of the subscription.
graph() {
  local method=$1 path=$2
  shift 2
  az_tsv rest --method "$method" --url "https://graph.microsoft.com/v1.0/$path" "$@"
}

for ((at = 0; at < ${#given[@]}; at += 2)); do
  role_id "${given[at]}" >/dev/null # before anything is made
done
need_commands az azd
load_values
need_all AZURE_ENV_NAME AZURE_SUBSCRIPTION_ID

if [[ -z $app_id ]]; then
  app_id=$(az_tsv ad app list --filter "displayName eq '$name'" --query '[].appId')
  [[ $app_id != *$'\n'* ]] || die $REFUSED "several applications are named $name: --app-id ID says which:" "$app_id"
fi
host=$(value FUNCTION_APP_NAME)
settings=(--sign-in-audience AzureADMyOrg --enable-id-token-issuance true --app-roles "@$roles")
if [[ -n $host ]]; then
  settings+=(--web-redirect-uris "https://$host.azurewebsites.net/.auth/login/aad/callback")
fi
if [[ -n $app_id ]]; then
  az_quiet ad app update --id "$app_id" "${settings[@]}"
  say "Application $app_id is as it has to be."
else
  app_id=$(az_tsv ad app create --display-name "$name" "${settings[@]}" --query appId)
  [[ -n $app_id ]] || die $BROKEN "the application was made, but its ID was not told: run the same again"
  say "Application $name was registered: $app_id"
fi
principal=$(az_tsv ad sp list --filter "appId eq '$app_id'" --query '[].id')
if [[ -z $principal ]]; then
  # a new application is not known everywhere at once
  principal=$(retry 6 az_tsv ad sp create --id "$app_id" --query id)
fi

for ((at = 0; at < ${#given[@]}; at += 2)); do
  role=${given[at]} person=${given[at + 1]}
  id=$(az_tsv ad user show --id "$person" --query id)
  role_of_app=$(role_id "$role")
  has=$(graph get "servicePrincipals/$principal/appRoleAssignedTo" \
    --query "value[?principalId=='$id' && appRoleId=='$role_of_app'].id")
  if [[ -n $has ]]; then
    say "$person is $role already."
    continue
  fi
  graph post "servicePrincipals/$principal/appRoleAssignedTo" --headers Content-Type=application/json \
    --body "{\"principalId\": \"$id\", \"resourceId\": \"$principal\", \"appRoleId\": \"$role_of_app\"}" >/dev/null
  say "$person is $role."
done

call azd env set WEB true >/dev/null
call azd env set WEB_ENTRA_CLIENT_ID "$app_id" >/dev/null
if [[ -n $host ]]; then
  say "Next: azd provision. Then https://$host.azurewebsites.net/api/ui"
else
  say "Next: azd up, and this script again: the application has to know where the page is."
fi
