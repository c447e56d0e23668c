# Points: claims, their results, and the output of failed ones.

points=0
failed=()
began=$SECONDS

title() { printf '\n== %s\n' "$*"; }

took() { printf '   (%s took %s s)\n' "$1" $((SECONDS - began)); began=$SECONDS; }

# Notes a point: point TEXT COMMAND... holds if the command succeeds. What it printed is shown if it does not, how long it took
# if that was long.
point() {
    local text=$1 seen since=$SECONDS
    shift
    points=$((points + 1))
    if seen=$("$@" 2>&1); then
        printf 'ok    %s%s\n' "$text" "$([ $((SECONDS - since)) -lt 5 ] || echo ", in $((SECONDS - since)) s")"
    else
        printf 'FAIL  %s\n      %s, which printed:\n%s\n' "$text" "$*" "$(sed 's/^/      | /' <<<"$seen")"
        failed+=("$text")
    fi
}

# Prints a figure or a text that was seen.
saw() { sed 's/^/      /' <<<"$*"; }

not() { ! "$@"; }

# Succeeds if a command ends with a status: ends_with STATUS COMMAND...
ends_with() {
    local wanted=$1 status=0
    shift
    "$@" || status=$?
    [ "$status" = "$wanted" ] || { echo "ended with $status instead of $wanted"; return 1; }
}

# Succeeds if what a command prints holds a text: prints TEXT COMMAND...
prints() {
    local wanted=$1 seen
    shift
    seen=$("$@" 2>&1) || true
    grep -qF -- "$wanted" <<<"$seen" || { printf 'no `%s` in:\n%s\n' "$wanted" "$seen"; return 1; }
}

same() { [ "$1" = "$2" ] || { echo "\`$1\` is not \`$2\`"; return 1; }; }
differ() { [ "$1" != "$2" ] || { echo "both are \`$1\`"; return 1; }; }

# Tries a command again until it succeeds, for 20 seconds at most.
eventually() {
    local _
    for _ in $(seq 400); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.05
    done
    "$@"
}

sum_up() {
    title "$points points, ${#failed[@]} failed"
    [ ${#failed[@]} = 0 ] || { printf 'FAIL  %s\n' "${failed[@]}"; exit 1; }
}
