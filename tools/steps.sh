# Sourced by the scripts beside it: says what a long step is doing, keeps its chatter in a log.

SETUP_LOG=${SETUP_LOG:-var/setup.log}
mkdir -p "$(dirname "$SETUP_LOG")"

# step MESSAGE COMMAND...: one line while it runs, the end of the log only when it fails.
step() {
  local message=$1 begun=$SECONDS code=0
  shift
  printf '%s ... ' "$message"
  printf '\n== %s: %s\n' "$(date -u +%FT%TZ)" "$*" >>"$SETUP_LOG"
  "$@" >>"$SETUP_LOG" 2>&1 </dev/null || code=$?
  if [ "$code" = 0 ]; then
    printf 'done (%s s)\n' "$((SECONDS - begun))"
    return 0
  fi
  printf 'FAILED (exit %s)\n' "$code"
  tail -n 25 "$SETUP_LOG" | sed 's/^/    /'
  printf '  The whole log is in %s.\n' "$SETUP_LOG"
  return "$code"
}

complain() {
  printf '%s\n' "$@" >&2
}
