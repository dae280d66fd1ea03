#!/bin/sh
# Stands in for `br` of beads_rust in tests: the arguments, answers, errors and exit
# codes that the real program was seen to take and give. A bead is a folder of files
# below .beads/beads. Files in .beads steer it:
#   style   "0.1": errors on standard error, a list is an array; else as 0.7
#   locked  so many calls still find the database locked
#   fail    the exit code of every call; its words are in fail.text
#   hang    calls do not end
#   mute    create does its work and then prints nothing readable
# calls.log gets a line for every call.
set -u

if [ "${1-}" = create ] && [ "${2-}" = --help ]; then
    cat <<'HELP'
Create a new issue

Usage: br create [OPTIONS] [TITLE]

Options:
      --json                         Output as JSON
  -t, --type <TYPE_>                 Issue type (task, bug, feature, etc.)
      --lock-timeout <LOCK_TIMEOUT>  `SQLite` busy timeout in ms
  -p, --priority <PRIORITY>          Priority (0-4 or P0-P4)
  -d, --description <DESCRIPTION>    Description [aliases: --body]
  -l, --labels <LABELS>              Labels (comma-separated)
      --external-ref <EXTERNAL_REF>  External reference
HELP
    exit 0
fi

beads=
at=$(pwd)
while :; do
    if [ -d "$at/.beads" ]; then
        beads=$at/.beads
        break
    fi
    [ "$at" = / ] && break
    at=$(dirname "$at")
done

# An error: exit code, code, message.
fail() {
    envelope=$(printf '{\n  "error": {\n    "code": "%s",\n    "message": "%s",\n    "hint": "%s",\n    "retryable": false\n  }\n}' "$2" "$3" "hint of $2")
    if [ -n "$beads" ] && [ "$(cat "$beads/style" 2>/dev/null)" != 0.1 ]; then
        printf '%s\n' "$envelope"
    else
        printf '%s\n' "$envelope" >&2
    fi
    exit "$1"
}

[ -n "$beads" ] || fail 2 NOT_INITIALIZED "Beads not initialized: run 'br init' first"
echo "$*" | head -c 200 | head -n 1 >>"$beads/calls.log"
[ -f "$beads/hang" ] && exec sleep 600
if [ -f "$beads/fail" ]; then
    cat "$beads/fail.text" >&2
    exit "$(cat "$beads/fail")"
fi
if [ -f "$beads/locked" ]; then
    left=$(cat "$beads/locked")
    if [ "$left" -gt 0 ]; then
        echo $((left - 1)) >"$beads/locked"
        fail 2 DATABASE_LOCKED "Database is locked at '$beads/beads.db'"
    fi
fi

field() {
    cat "$1/$2" 2>/dev/null
}

create() {
    type=task priority=2 description= labels= reference= title=
    while [ $# -gt 0 ]; do
        case $1 in
        --json | --lock-timeout=*) ;;
        --type=*) type=${1#*=} ;;
        --priority=*) priority=${1#*=} ;;
        --description=*) description=${1#*=} ;;
        --labels=*) labels=${1#*=} ;;
        --external-ref=*) reference=${1#*=} ;;
        --) title=$2 && shift ;;
        *)
            echo "error: unexpected argument '$1' found" >&2
            exit 2
            ;;
        esac
        shift
    done
    LC_ALL=C
    [ -n "$title" ] || fail 4 VALIDATION_FAILED "Validation failed: title: cannot be empty"
    [ ${#title} -le 500 ] || fail 4 VALIDATION_FAILED "Validation failed: title: exceeds 500 characters"
    [ ${#description} -le 102400 ] || fail 4 VALIDATION_FAILED "Validation failed: description: exceeds 100KB"
    [ ${#reference} -le 200 ] || fail 4 VALIDATION_FAILED "Validation failed: external_ref: exceeds 200 characters"
    case $reference in
    *[[:space:]]*) fail 4 VALIDATION_FAILED "Validation failed: external_ref: cannot contain whitespace" ;;
    esac
    for label in $(printf %s "$labels" | tr , ' '); do
        case $label in
        *[!A-Za-z0-9_:-]*) fail 4 VALIDATION_FAILED "Validation failed: label: invalid characters" ;;
        esac
        [ ${#label} -le 50 ] || fail 4 VALIDATION_FAILED "Validation failed: label: exceeds 50 characters"
    done
    mkdir -p "$beads/beads"
    for bead in "$beads"/beads/*; do
        if [ -d "$bead" ] && [ -n "$reference" ] && [ "$(field "$bead" reference)" = "$reference" ]; then
            fail 2 DATABASE_ERROR "Database error: UNIQUE constraint failed: issues.external_ref"
        fi
    done
    number=1
    until mkdir "$beads/beads/fake-$number" 2>/dev/null; do
        number=$((number + 1))
    done
    new=$beads/beads/fake-$number
    printf %s "$title" >"$new/title"
    printf %s "$type" >"$new/type"
    printf %s "$priority" >"$new/priority"
    printf %s "$description" >"$new/description"
    printf %s "$labels" >"$new/labels"
    printf %s "$reference" >"$new/reference"
    printf open >"$new/status"
    if [ -f "$beads/mute" ]; then
        echo "done, I think"
        exit 0
    fi
    printf '{\n  "id": "fake-%s",\n  "status": "open",\n  "priority": %s,\n  "issue_type": "%s"\n}\n' "$number" "$priority" "$type"
}

list() {
    old=$(cat "$beads/style" 2>/dev/null)
    [ "$old" = 0.1 ] && printf '[' || printf '{"issues":['
    comma=
    for bead in "$beads"/beads/*; do
        [ -d "$bead" ] || continue
        reference=null
        [ -s "$bead/reference" ] && reference="\"$(field "$bead" reference)\""
        printf '%s{"id":"%s","status":"%s","external_ref":%s}' "$comma" "$(basename "$bead")" "$(field "$bead" status)" "$reference"
        comma=,
    done
    [ "$old" = 0.1 ] && printf ']\n' || printf '],"total":1,"limit":0,"offset":0,"has_more":false}\n'
}

dep() {
    shift # add
    while [ "$1" != -- ]; do
        shift
    done
    [ -d "$beads/beads/$2" ] || fail 3 ISSUE_NOT_FOUND "Issue not found: $2"
    [ -d "$beads/beads/$3" ] || fail 3 ISSUE_NOT_FOUND "Issue not found: $3"
    printf %s "$3" >"$beads/beads/$2/waits"
    printf '{"status":"ok"}\n'
}

command=$1
shift
case $command in
create) create "$@" ;;
list) list ;;
dep) dep "$@" ;;
*)
    echo "error: unrecognized subcommand '$command'" >&2
    exit 2
    ;;
esac
