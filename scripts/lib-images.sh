# The image that the job has, and the one of everything but our code, which the registry builds once; sourced after lib.sh, not run.
# docs/images.md tells why there are two images, and how long each takes.
#
# POLL_S           seconds between two looks at a build (30)
# BUILD_TIMEOUT_S  longest that the registry builds (7200)
# shellcheck shell=bash disable=SC2034,SC2086,SC2154  # names and numbers of other files

KERNELS_REPOSITORY=kernels

# need_image GROUP JOB: dies while the job has the image that does nothing. It would end well and leave every scene as it was.
need_image() {
  local image
  image=$(az_tsv containerapp job show --resource-group "$1" --name "$2" --query 'properties.template.containers[0].image') ||
    die $? "which image $2 has cannot be read; nothing was started"
  is_placeholder "$image" || return 0
  die $REFUSED "$2 still has the image that does nothing: azd deploy runner, or scripts/deploy-job.sh"
}

# give_image GROUP JOB IMAGE: to the job, and to the second one where there is one: both take from one queue.
give_image() {
  local second
  second=$(value RUNNER_FALLBACK_JOB_NAME)
  az_quiet containerapp job update --resource-group "$1" --name "$2" --image "$3" || return
  [[ -z $second ]] || az_quiet containerapp job update --resource-group "$1" --name "$second" --image "$3"
}

is_placeholder() { [[ $1 == mcr.microsoft.com/k8se/quickstart* ]]; }

# kernels_tag: of the image that this checkout needs. RUNNER_CUDA (13, or 12 for drivers older than 580) and RUNNER_CUDA_ARCHITECTURES
# ("8.0": the A100 alone, which builds faster) choose what is in it.
kernels_tag() {
  CUDA=$(value RUNNER_CUDA) TORCH_CUDA_ARCH_LIST=$(value RUNNER_CUDA_ARCHITECTURES) "$ROOT/runner/image/kernels_tag.sh"
}

# is_in_registry REGISTRY TAG: 0 it is, 1 it is not; dies where that cannot be read.
is_in_registry() {
  local found
  # lists, for what az says of a repository or tag that is not there differs from version to version
  found=$(retry 3 az_tsv acr repository list --name "$1" --query "[?@=='$KERNELS_REPOSITORY']") ||
    die $? "the images of the registry $1 cannot be listed; nothing was built. When the cause above is gone: azd deploy"
  [[ -n $found ]] || return 1
  found=$(retry 3 az_tsv acr repository show-tags --name "$1" --repository "$KERNELS_REPOSITORY" --query "[?@=='$2']") ||
    die $? "the tags of $1/$KERNELS_REPOSITORY cannot be listed; nothing was built. When the cause above is gone: azd deploy"
  [[ -n $found ]]
}

# ensure_kernels REGISTRY ENDPOINT: has the image built where it is not there, and waits for it. Says how it goes on standard error,
# prints the image's name. A build that goes on from a call before, which was cut off, is waited for and not started again, also
# where the cut came before the registry had named it.
ensure_kernels() {
  local registry=$1 image tag run state code=0
  end_on_ctrl_c
  tag=$(kernels_tag) || die $REFUSED "RUNNER_CUDA must be 12 or 13"
  image=$2/$KERNELS_REPOSITORY:$tag
  if is_in_registry "$registry" "$tag"; then
    say "$image is there already." >&2
    printf '%s' "$image"
    return
  fi
  run=$(value RUNNER_KERNELS_RUN) # "TAG/RUN" of the build that was started last
  state=
  if [[ $run == "$tag"/?* ]]; then
    state=$(run_state "$registry" "${run##*/}") || state=
  fi
  case $state in
    Queued | Started | Running) say "A build of $image goes on: run ${run##*/}." >&2 ;;
    *)
      if built_meanwhile "$registry" "$tag" "$run"; then
        printf '%s' "$image"
        return
      fi
      run=$tag/$(start_kernels "$registry" "$tag") || exit ;;
  esac
  wait_for_run "$registry" "${run##*/}" || die $? "$image was not built; see what failed: az acr task logs --registry $registry" \
    "--run-id ${run##*/}; then once more: azd deploy"
  printf '%s' "$image"
}

# built_meanwhile REGISTRY TAG RUN: waits for builds of the registry whose answer nobody got, until the image is there; 1: none of
# them makes it. The registry tells of a run which image it makes only at its end. Where others build too (a reused registry) only
# after a call of ours that got no answer (RUN is "TAG/").
built_meanwhile() {
  local runs run
  [[ $3 == "$2/" || -z $(value EXISTING_ACR_NAME) ]] || return 1
  runs=$(retry 3 az_tsv acr task list-runs --registry "$1" --top 20 \
    --query "[?runType=='QuickBuild' && (status=='Queued' || status=='Started' || status=='Running')].runId") || {
    warn "whether $1 builds already cannot be read; going on"
    return 1
  }
  for run in $runs; do
    [[ $run != "${3##*/}" ]] || continue # known: of another version, or it ended
    say "The registry builds already: run $run; it is waited for." >&2
    remember RUNNER_KERNELS_RUN "$2/$run"
    wait_for_run "$1" "$run" || continue
    if is_in_registry "$1" "$2"; then return 0; fi
  done
  return 1
}

# start_kernels REGISTRY TAG: prints the run's id, once the azd environment remembers it.
start_kernels() {
  local run errors code=0 cuda architectures arguments=()
  cuda=$(value RUNNER_CUDA)
  architectures=$(value RUNNER_CUDA_ARCHITECTURES)
  [[ -z $cuda ]] || arguments=(--build-arg "CUDA=$cuda")
  [[ -z $architectures ]] || arguments=(${arguments[@]+"${arguments[@]}"} --build-arg "TORCH_CUDA_ARCH_LIST=$architectures")
  say "Building $KERNELS_REPOSITORY:$2 in $1: about half an hour, once; then only when locked packages change. The registry builds" \
    "it by itself: when this is cut off, azd deploy waits for the same build." >&2
  remember RUNNER_KERNELS_RUN "$2/" # an answer that is lost is looked for
  errors=$(mktemp)
  run=$(CALL_TIMEOUT_S=600 az_tsv acr build --registry "$1" --image "$KERNELS_REPOSITORY:$2" --file "$ROOT/Dockerfile.runner" \
    --target kernels --platform linux/amd64 --timeout "${BUILD_TIMEOUT_S:-7200}" ${arguments[@]+"${arguments[@]}"} \
    --no-wait --query runId "$ROOT" 2>"$errors") || code=$?
  cat "$errors" >&2
  if grep -q TasksOperationsNotAllowed "$errors"; then # free and trial subscriptions
    say_build_elsewhere "$1" "$2" ${arguments[@]+"${arguments[@]}"}
    code=$REFUSED
  fi
  rm -f "$errors"
  [[ $code -eq 0 ]] || return "$code"
  [[ -n $run ]] || die $BROKEN "the registry took the build and named no run; look with: az acr task list-runs --registry $1"
  remember RUNNER_KERNELS_RUN "$2/$run"
  printf '%s' "$run"
}

# say_build_elsewhere REGISTRY TAG [BUILD ARGUMENT...]: what to do where the registry builds nothing. azd has it build our code too,
# so both images are built by hand, and deploy-job.sh gives the second one to the job.
say_build_elsewhere() {
  local registry=$1 kernels=$1.azurecr.io/$KERNELS_REPOSITORY:$2 runner=$1.azurecr.io/runner:by-hand
  shift 2
  warn "this subscription may not build in a registry. On a machine with Docker, in this folder:"
  warn "    az acr login --name $registry"
  warn "    docker build -f Dockerfile.runner --target kernels --platform linux/amd64 $* -t $kernels . && docker push $kernels"
  warn "    docker build -f runner/image/Dockerfile.code --platform linux/amd64 --build-arg KERNELS=$kernels -t $runner . && docker push $runner"
  warn "then: azd deploy dispatcher && scripts/deploy-job.sh --skip-build"
}

# remember NAME VALUE: in the azd environment, where there is one.
remember() {
  if command -v azd >/dev/null 2>&1 && [[ -n $AZD_VALUES ]]; then
    call azd env set "$1" "$2" >/dev/null
  fi
}

run_state() { az_tsv acr task show-run --registry "$1" --run-id "$2" --query status; }

# wait_for_run REGISTRY RUN: until it ended; says its last step now and then. 0: it succeeded.
wait_for_run() {
  local began_s=$SECONDS state step code
  while :; do
    code=0
    state=$(retry 5 run_state "$1" "$2") || code=$?
    [[ $code -eq 0 ]] || return "$code" # the build goes on
    case $state in
      Succeeded) return 0 ;;
      Failed | Canceled | Error | Timeout)
        warn "run $2 ended: $state"
        az_tsv acr task logs --registry "$1" --run-id "$2" --no-format | tail -20 >&2 || true
        return $FAILED ;;
    esac
    # The log of a build that runs has no end: what comes until the call is ended, which is no failure. Not kept back by Python,
    # where az lets itself be told; else the last 8 KB are missing.
    step=$({ PYTHONUNBUFFERED=1 CALL_TIMEOUT_S=${LOG_S:-20} az_tsv acr task logs --registry "$1" --run-id "$2" --no-format 2>/dev/null || true; } |
      { grep -oE '^Step [0-9]+/[0-9]+ : .{0,60}|\[[0-9]+/[0-9]+\]' || true; } | tail -2 | tr '\n' ' ')
    say "$(date -u +%H:%M:%S) ${state:-queued}, $(((SECONDS - began_s) / 60)) min: ${step:-waits for a machine of the registry}" >&2
    sleep "${POLL_S:-30}"
  done
}
