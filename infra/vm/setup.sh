#!/usr/bin/env bash
# Makes watch mode a service of this machine (Ubuntu or Debian with the NVIDIA driver and Docker). May be run again.
#
#     sudo infra/vm/setup.sh --image REGISTRY/REPOSITORY:TAG [--data DIR] [--cpu] [--root DIR]
#
# --data   where the folders lie; /srv/video-splat becomes a bind mount of it. Default: /srv/video-splat itself
# --cpu    no GPU: the service runs without --gpus
# --root   write below this folder and touch no service: to look at what would be written
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../../scripts/lib.sh"

image='' data='' root='' cpu=false
while [[ $# -gt 0 ]]; do
  case $1 in
    --cpu) cpu=true ;;
    --image) need_value "$1" $#; image=$2; shift ;;
    --data) need_value "$1" $#; data=$2; shift ;;
    --root) need_value "$1" $#; root=$2; shift ;;
    -h | --help) usage "$0"; exit 0 ;;
    *) die $REFUSED "unknown argument $1; see $SCRIPT --help" ;;
  esac
  shift
done
[[ $image =~ ^[A-Za-z0-9._/:@-]+$ ]] || die $REFUSED "--image REGISTRY/REPOSITORY:TAG is needed"
[[ -z $data || $data == /* ]] || die $REFUSED "--data is an absolute path"
if [[ -z $root && $EUID -ne 0 ]]; then die $REFUSED "run it with sudo"; fi
if [[ -z $root ]]; then
  command -v docker >/dev/null || die $REFUSED "Docker is missing: https://docs.docker.com/engine/install/"
  if ! $cpu; then
    command -v nvidia-smi >/dev/null || die $REFUSED "the NVIDIA driver is missing (create-vm.sh installs it), or use --cpu"
    docker info --format '{{json .Runtimes}}' | grep -q nvidia ||
      die $REFUSED "the NVIDIA Container Toolkit is missing: https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/"
  fi
fi

folders=$root/srv/video-splat
install -d -m 0755 "$folders"
if [[ -n $data ]]; then
  line="$data /srv/video-splat none bind,nofail 0 0"
  install -d "$root/etc" "$root$data"
  touch "$root/etc/fstab"
  grep -qxF "$line" "$root/etc/fstab" || printf '%s\n' "$line" >>"$root/etc/fstab"
  if [[ -z $root ]] && ! mountpoint -q /srv/video-splat; then mount /srv/video-splat; fi
fi
for folder in input output processed error state; do
  install -d -m 0775 "$folders/$folder"
done
if [[ -z $root ]]; then chown 10001:10001 "$folders" "$folders"/{input,output,processed,error,state}; fi

settings=$root/etc/video-splat/env
install -d -m 0700 "$root/etc/video-splat"
if [[ ! -e $settings ]]; then install -m 0600 "$here/env.example" "$settings"; fi
sed -i "s|^IMAGE=.*|IMAGE=$image|" "$settings"

unit=$root/etc/systemd/system/video-splat.service
install -d "$root/etc/systemd/system"
if $cpu; then
  sed 's| --gpus all||' "$here/video-splat.service" >"$unit"
else
  install -m 0644 "$here/video-splat.service" "$unit"
fi
if [[ -z $root ]]; then
  systemctl daemon-reload
  systemctl enable --now video-splat.service
  systemctl --no-pager status video-splat.service
fi
