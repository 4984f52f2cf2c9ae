#!/usr/bin/env bash
# Pulls IMAGE as root, with the identity of this machine: the unit runs it before each start. setup.sh installs it.
#
# `az acr login` of a person is in that person's home and ends after three hours; Docker's service pulls as root, months later.
# Where the registry cannot be asked, an image that is there is good enough.
set -euo pipefail
registry=${IMAGE%%/*}
pull() {
  if [[ $registry == *.azurecr.io ]]; then
    az login --identity --allow-no-subscriptions --output none && az acr login --name "${registry%.azurecr.io}" || return
  fi
  docker pull --quiet "$IMAGE"
}
pull || { printf 'warning: %s was not pulled\n' "$IMAGE" >&2; docker image inspect --format '{{.Id}}' "$IMAGE"; }
