#!/usr/bin/env bash
# Installs on Ubuntu or Debian what the service needs: Docker, the NVIDIA Container Toolkit and the Azure CLI. May be run again.
#
#     sudo infra/vm/prepare.sh [--cpu]
#
# --cpu    no GPU: without the toolkit
#
# create-vm.sh gives it to the machine as its first-boot script (cloud-init runs it as root, without arguments). The driver comes
# by the extension of Azure; on another machine install it first: https://docs.nvidia.com/datacenter/tesla/driver-installation-guide/
set -euo pipefail
cpu=false
case ${1:-} in
  '') ;;
  --cpu) cpu=true ;;
  *) printf 'usage: sudo %s [--cpu]\n' "$0" >&2; exit 2 ;;
esac
export DEBIAN_FRONTEND=noninteractive
keys=/usr/share/keyrings lists=/etc/apt/sources.list.d
. /etc/os-release

# key NAME URL: the key of a package source, in the form that apt reads.
key() {
  curl --fail --silent --show-error --location --retry 5 "$2" | gpg --batch --yes --dearmor --output "$keys/$1.gpg"
}

# At first boot the system itself may still install: wait for it.
apt() { apt-get -o DPkg::Lock::Timeout=600 --yes --no-install-recommends "$@"; }

apt update
apt install ca-certificates curl gnupg docker.io
key microsoft https://packages.microsoft.com/keys/microsoft.asc
printf 'deb [arch=%s signed-by=%s/microsoft.gpg] https://packages.microsoft.com/repos/azure-cli/ %s main\n' \
  "$(dpkg --print-architecture)" "$keys" "$VERSION_CODENAME" >"$lists/azure-cli.list"
if ! $cpu; then
  key nvidia-container-toolkit https://nvidia.github.io/libnvidia-container/gpgkey
  # shellcheck disable=SC2016  # apt fills in the architecture
  printf 'deb [signed-by=%s/nvidia-container-toolkit.gpg] https://nvidia.github.io/libnvidia-container/stable/deb/$(ARCH) /\n' \
    "$keys" >"$lists/nvidia-container-toolkit.list"
fi
apt update
apt install azure-cli
if ! $cpu; then
  apt install nvidia-container-toolkit
  nvidia-ctk runtime configure --runtime=docker
  systemctl restart docker
fi
