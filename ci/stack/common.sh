# Shared by the scripts of the test bed: where things are. To be sourced with $here set to ci/stack.
cache=${UNSHIP_STACK_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/unship-stack}
state=${UNSHIP_STACK_STATE:-$cache/state}

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}
