#!/usr/bin/env bash
# Makes watch mode a service of this machine (Ubuntu or Debian with the NVIDIA driver and Docker). May be run again.
#
#   sudo deploy/vm/setup.sh --image REGISTRY/REPOSITORY:TAG [--data DIR] [--cpu] [--root DIR]
#
# --data   where the folders lie; /srv/video-splat becomes a bind mount of it. Default: /srv/video-splat itself
# --cpu    no GPU: the service runs without --gpus
# --root   write below this folder and touch no service: to look at what would be written
# Exit codes: 0, 1 something failed, 2 wrong arguments.
set -euo pipefail

fail() { printf 'error: %s\n' "$2" >&2; exit "$1"; }

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
image='' data='' root='' cpu=false
while (($#)); do
  case $1 in
    --cpu) cpu=true; shift; continue ;;
    -h | --help) sed -n '2,9s/^# \{0,1\}//p' "${BASH_SOURCE[0]}"; exit 0 ;;
    --image | --data | --root)
      (($# > 1)) || fail 2 "$1 needs a value"
      printf -v "${1#--}" %s "$2"
      shift 2 ;;
    *) fail 2 "$1 is unknown; --help tells more" ;;
  esac
done
[[ $image =~ ^[A-Za-z0-9._/:@-]+$ ]] || fail 2 "--image REGISTRY/REPOSITORY:TAG is needed"
[[ -z $data || $data == /* ]] || fail 2 "--data is an absolute path"
if [[ -z $root && $EUID -ne 0 ]]; then fail 1 "run it with sudo"; fi
if [[ -z $root ]]; then
  command -v docker >/dev/null || fail 1 "Docker is missing: https://docs.docker.com/engine/install/"
  if ! $cpu; then
    command -v nvidia-smi >/dev/null || fail 1 "the NVIDIA driver is missing (create-vm.sh installs it), or use --cpu"
    docker info --format '{{json .Runtimes}}' | grep -q nvidia ||
      fail 1 "the NVIDIA Container Toolkit is missing: https://docs.nvidia.com/datacenter/cloud-native/container-toolkit/"
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
