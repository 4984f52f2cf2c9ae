# One file that tells what a trial did, to be sent back; sourced after lib.sh. REPORT: where it goes.
# Kept in a folder of its own until the end, when everything that looks like a secret or an id of somebody is taken out.
# shellcheck shell=bash

# begin_report FOLDER TITLE: from here on, whatever ends the script, the report is written.
begin_report() {
  RAW=$1/report.txt
  REPORT_FROM_S=$SECONDS
  : >"$RAW"
  chmod 600 "$RAW"
  note "# $2"
}

note() { printf '%s  %s\n' "$(date -u +%Y-%m-%dT%H:%M:%SZ)" "$*" >>"$RAW"; }

# fact NAME COMMAND...: its first lines, or that it could not be had; never stops anything. Not shown on the screen.
fact() {
  local name=$1 text code=0
  shift
  text=$(export CALL_TIMEOUT_S=60; "$@" 2>&1 </dev/null | sed -n 1,40p) || code=$?
  note "$name: $(printf '%s' "${text:-nothing}" | sed '2,$s/^/    /')$([[ $code -eq 0 ]] || printf ' (code %s)' "$code")"
}

# step NAME COMMAND...: runs it; what it prints goes to where it went, and into the report too, with its seconds and its code.
step() {
  local name=$1 from_s=$SECONDS code=0
  shift
  note "## $name"
  { { "$@" | tee -a "$RAW" >&3; } 2>&1 | tee -a "$RAW" >&2; } 3>&1 || code=$?
  note "$name: $((SECONDS - from_s)) s, code $code"
  return "$code"
}

# fail MESSAGE...: like die $FAILED, told in the report too.
fail() {
  note "$*"
  die "$FAILED" "$*"
}

# end_report CODE PYTHON: takes out secrets, object ids and addresses, and puts the file in place.
end_report() {
  note "end: code $1 after $((SECONDS - REPORT_FROM_S)) s"
  (cd "$ROOT" && "$2" -c 'import re, sys
from scenejobs.logs.redact import redact
text = redact(open(sys.argv[1], encoding="utf-8", errors="replace").read())
text = re.sub(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", "<id>", text)
text = re.sub(r"[\w.+-]+@[\w-]+(?:\.[\w-]+)+", "<address>", text)
open(sys.argv[2], "w", encoding="utf-8").write(text)' "$RAW" "$REPORT") || {
    warn "the report could not be written to $REPORT"
    return 0
  }
  say "Report: $REPORT (steps, times, versions, states, messages; no secrets). Look at it, then send it back."
}
