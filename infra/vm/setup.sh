#!/usr/bin/env bash
# Makes watch or serve mode a service of this machine (prepare.sh installs what it needs). May be run again.
#
#     sudo infra/vm/setup.sh --image REGISTRY/REPOSITORY:TAG [--serve ACCOUNT | --data DIR] [--cpu] [--root DIR]
#
# --serve  serve mode over the containers of this account (docs/serve.md), in the place of watch mode over folders
# --data   where the folders lie; /srv/video-splat becomes a bind mount of it. Default: /srv/video-splat itself
# --cpu    no GPU: the service runs without --gpus
# --root   write below this folder and touch no service: to look at what would be written
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd -P)
. "$here/../../scripts/lib.sh"

image='' account='' data='' root='' cpu=false
while [[ $# -gt 0 ]]; do
  case $1 in
    --cpu) cpu=true ;;
    --serve) need_value "$1" $#; account=$2; shift ;;
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
[[ -z $account || $account =~ ^[a-z0-9]{3,24}$ ]] || die $REFUSED "--serve is the name of a storage account"
[[ -z $account || -z $data ]] || die $REFUSED "--data is of watch mode: serve mode has no folders"
if [[ -z $root && $EUID -ne 0 ]]; then die $REFUSED "run it with sudo"; fi
if [[ -z $root ]]; then
  command -v docker >/dev/null || die $REFUSED "Docker is missing: sudo infra/vm/prepare.sh"
  if ! $cpu; then
    command -v nvidia-smi >/dev/null || die $REFUSED "the NVIDIA driver is missing (create-vm.sh installs it), or use --cpu"
    docker info --format '{{json .Runtimes}}' | grep nvidia >/dev/null ||
      die $REFUSED "the NVIDIA Container Toolkit is missing: sudo infra/vm/prepare.sh"
  fi
fi

if [[ -z $account ]]; then
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
fi

settings=$root/etc/video-splat/env
install -d -m 0700 "$root/etc/video-splat"
example=$here/env.example service=$here/video-splat.service
if [[ -n $account ]]; then example=$here/env-serve.example service=$here/video-splat-serve.service; fi
if [[ ! -e $settings ]]; then install -m 0600 "$example" "$settings"; fi
# put NAME VALUE: sets a line of the settings, which may be those of the other mode.
put() {
  if grep -q "^$1=" "$settings"; then sed -i "s|^$1=.*|$1=$2|" "$settings"; else printf '%s=%s\n' "$1" "$2" >>"$settings"; fi
}
put IMAGE "$image"
if [[ -n $account ]]; then
  put AZURE_STORAGE_ACCOUNT "$account"
  grep -q '^AZURE_' <(grep -v '^AZURE_STORAGE_ACCOUNT=' "$settings") || put AZURE_USE_MANAGED_IDENTITY true
else
  sed -i '/^AZURE_STORAGE_ACCOUNT=/d' "$settings"  # watch mode refuses it
fi
install -d "$root/usr/local/sbin"
install -m 0755 "$here/pull.sh" "$root/usr/local/sbin/video-splat-pull"

unit=$root/etc/systemd/system/video-splat.service
install -d "$root/etc/systemd/system"
if $cpu; then
  sed 's| --gpus all||' "$service" >"$unit"
else
  install -m 0644 "$service" "$unit"
fi
if [[ -z $root ]]; then
  systemctl daemon-reload
  systemctl enable --now video-splat.service
  systemctl --no-pager status video-splat.service
fi
